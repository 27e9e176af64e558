"""Profiles decide what is indexed: a wrong match fills an index with strangers or loses members."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ProfileError
from pyf_scrapy.profiles import (
    Profile,
    find_profiles_file,
    load_profiles,
    normalize_pattern,
    select,
    unknown_classifiers,
)
from pyf_scrapy.profiles_file import SynonymGroup, parse_profiles

ROOT = Path(__file__).parents[1]

Load = Callable[[str | bytes], dict[str, Profile]]

SEEDS = """\
profiles:
  plone:
    name: "Plone"
    classifiers:
      - "Framework :: Plone"
      - "Framework :: Plone :: 6.0"
      # ... more classifiers
    npm:
      keywords: [plone, volto]
      scopes: ["@plone"]

  flask:
    name: "Flask"
    classifiers:
      - "Framework :: Flask"
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a profiles.yaml and load it."""

    def write_and_load(text: str | bytes) -> dict[str, Profile]:
        path = tmp_path / "profiles.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_profiles(path)

    return write_and_load


def profile(**fields: object) -> Profile:
    return replace(Profile(key="x", name="X"), **fields)  # type: ignore[arg-type]  # test data


class TestMatches:
    @pytest.mark.parametrize(
        ("wanted", "has", "expected"),
        [
            ("Framework :: Django", "Framework :: Django", True),
            ("Framework :: Django", "Framework :: Django :: 5.0", True),
            ("Framework :: Django", "Framework :: Django CMS", False),
            ("Framework :: Django", "Framework :: Django CMS :: 3.11", False),
            ("Framework :: Django :: 5.0", "Framework :: Django", False),
            ("Framework :: Django :: 5", "Framework :: Django :: 5.0", False),
            ("Framework", "Framework :: Flask", True),
            ("*", "Topic :: Internet", True),
        ],
    )
    def test_a_classifier_covers_itself_and_what_is_below_never_a_neighbour(
        self, wanted: str, has: str, expected: bool
    ) -> None:
        assert profile(classifiers=(wanted,)).matches("foo", ("Environment :: Console", has)) is expected

    def test_everything_takes_packages_without_classifiers(self) -> None:
        assert profile(classifiers=("*",)).matches("foo", ())
        assert not profile(classifiers=("Framework",)).matches("foo", ())

    def test_exclude_beats_include_beats_classifiers(self) -> None:
        both = profile(classifiers=("A",), include=("foo-*", "bar"), exclude=("foo-bad", "*-old"))
        assert both.matches("foo-good", ())
        assert both.matches("bar", ())
        assert not both.matches("foo-bad", ("A",))
        assert not both.matches("bar-old", ("A",))
        assert both.matches("baz", ("A",))
        assert not both.matches("baz", ("B",))

    @pytest.mark.parametrize(
        ("pattern", "name", "expected"),
        [
            ("collective.*", "collective-foo", True),
            ("collective.*", "collective", False),
            ("collective.*", "collectivefoo", False),
            ("Products.CMF*", "products-cmfcore", True),
            ("foo__bar", "foo-bar", True),
            ("*.theme", "plone-theme", True),
            ("foo[._-]bar", "foo-bar", True),
            ("foo[!._]bar", "foo-bar", False),
            ("py[a-c]x", "pybx", True),
            ("py[a-c]x", "py-x", False),
            ("py[a-c_]x", "py-x", True),
            ("a?c", "abc", True),
            ("a(c", "ac", False),
        ],
    )
    def test_globs_know_every_spelling_of_a_name(self, pattern: str, name: str, expected: bool) -> None:
        assert profile(include=(pattern,)).matches(name, ()) is expected

    @given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True))
    @hypothesis_settings(max_examples=200)
    def test_a_name_as_pattern_is_its_normal_form(self, name: str) -> None:
        normalized = re.sub(r"[-_.]+", "-", name).lower()
        assert normalize_pattern(name) == normalized
        assert profile(include=(name,)).matches(normalized, ())

    def test_thousands_of_names_stay_fast_and_exact(self) -> None:
        many = profile(include=tuple(f"Package_{number}" for number in range(20_000)))
        assert many.matches("package-19999", ())
        assert not many.matches("package-20000", ())


class TestHinted:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("collective-easyform", True),
            ("eea-plone", True),
            ("my-products-foo", True),
            ("plonetheme-x", True),
            ("zope", True),
            ("myplone", False),
            ("flask", False),
        ],
    )
    def test_likely_members_are_fetched_first(self, name: str, expected: bool) -> None:
        plone = profile(hints=("plone", "collective", "Products", "zope"))
        assert plone.hinted(name) is expected

    def test_what_is_included_is_likely_what_is_excluded_is_not(self) -> None:
        mixed = profile(hints=("django-cms",), include=("foo",), exclude=("django.cms.old",))
        assert mixed.hinted("foo")
        assert mixed.hinted("x-django-cms-y")
        assert not mixed.hinted("django-cms-old")
        assert not profile().hinted("foo")


class TestDefinition:
    def test_a_stored_profile_is_the_same_profile(self) -> None:
        stored = profile(
            classifiers=("A",),
            include=("b*",),
            exclude=("c",),
            hints=("d",),
            releases=3,
            collection="y",
            synonyms=(SynonymGroup(("e", "f g")), SynonymGroup(("h",), root="i")),
        )
        assert Profile.from_definition(stored.definition()) == stored

    def test_the_collection_is_the_key_unless_given(self) -> None:
        assert Profile(key="plone", name="Plone").collection == "plone"

    @pytest.mark.parametrize("broken", [{}, {"key": 1, "name": "x"}, {"key": "x", "name": "x", "hints": "y"}])
    def test_a_broken_definition_is_a_clear_error(self, broken: dict[str, object]) -> None:
        with pytest.raises(ProfileError, match="stored profile"):
            Profile.from_definition(broken)


class TestFile:
    def test_the_format_of_the_seeds_loads_unchanged(self, load: Load) -> None:
        profiles = load(SEEDS)
        assert list(profiles) == ["plone", "flask"]
        assert profiles["plone"].classifiers == ("Framework :: Plone", "Framework :: Plone :: 6.0")
        assert profiles["plone"].warnings == ("line 8: unknown key 'npm' is ignored",)
        assert profiles["flask"].name == "Flask"

    def test_all_keys(self, load: Load) -> None:
        text = (
            'profiles: {a: {name: A, classifiers: ["*", "*"], hints: [h], include: [i.*], exclude: ["*e"], '
            "synonyms: [[form, Form, C++, a b], {root: d, synonyms: [f]}, [form, C++, a b]]}}"
        )
        assert load(text) == {
            "a": Profile(
                "a",
                "A",
                classifiers=("*",),
                hints=("h",),
                include=("i.*",),
                exclude=("*e",),
                synonyms=(SynonymGroup(("form", "C++", "a b")), SynonymGroup(("f",), root="d")),
            )
        }

    @pytest.mark.parametrize(
        ("synonyms", "what"),
        [
            ("form", "synonyms of profile 'p' must be a list, not a text; begin each"),
            ("[]", "synonyms of profile 'p' is an empty list"),
            ("[form, survey]", "an entry in synonyms of profile 'p' must be a list, not a text"),
            ("[[form]]", "an entry in synonyms of profile 'p' has one word only; add what means the same"),
            ("[[form, FORM]]", "has one word only"),
            ("[[form, 2]]", "must be text, not a number; put it in quotes"),
            ("[[form, '--']]", "has no letter or digit: '--'; a search could not find it"),
            ("[{root: a}]", "must be a list of words, or `root: ...` and `synonyms: [...]`"),
            ("[{root: a, synonyms: [b], x: c}]", "must be a list of words, or `root: ...`"),
            ("[{root: a, synonyms: b}]", "synonyms of 'a' in synonyms of profile 'p' must be a list"),
            ("[{root: a, synonyms: [b, A]}]", "'a' is among its own synonyms; remove it there"),
            (f"[{', '.join(['[a, b]'] * 501)}]", "has more than 500 entries; remove some"),
        ],
    )
    def test_synonyms_that_cannot_be_meant_so_are_refused(self, load: Load, synonyms: str, what: str) -> None:
        with pytest.raises(ProfileError) as caught:
            load(f"profiles:\n  p:\n    name: x\n    include: [a]\n    synonyms: {synonyms}\n")
        assert what in str(caught.value)
        assert ".yaml:5: " in str(caught.value)

    def test_included_names_alone_make_a_profile(self, load: Load) -> None:
        assert load("profiles: {mine: {name: Mine, include: [plone.api]}}")["mine"].matches("plone-api", ())

    @pytest.mark.parametrize(
        ("text", "line", "what"),
        [
            ("", 1, "the file is empty; it must begin with `profiles:`"),
            ("- a\n", 1, "found a list; it must begin with `profiles:`"),
            ("plone:\n  name: x\n", 1, "`profiles` is missing"),
            ("profiles:\nplone:\n  name: x\n", 2, "unknown key 'plone'; indent profiles with blanks"),
            ("profiles:\n", 1, "`profiles` holds nothing; indent the profiles below it"),
            ("profiles:\n  - plone\n", 2, "`profiles` holds a list"),
            ("profiles:\n  plone:\n", 2, "profile 'plone' holds nothing; give it `name`"),
            ("profiles:\n  plone:\n    classifiers: [x]\n", 2, "has no name; add `name: ...`"),
            ("profiles:\n  plone:\n    name: x\n", 2, "has no classifiers; add"),
            (
                "profiles:\n  plone:\n    name: 6.0\n    classifiers: [x]\n",
                3,
                "must be text, not a number; put it in",
            ),
            ("profiles:\n  plone:\n    name: ''\n", 3, "name of profile 'plone' is empty"),
            (
                "profiles:\n  plone:\n    name: x\n    classifiers: x\n",
                4,
                "must be a list, not a text; begin each",
            ),
            ("profiles:\n  plone:\n    name: x\n    classifiers: []\n", 4, "is an empty list; add an entry"),
            (
                "profiles:\n  p:\n    name: x\n    classifiers:\n      - A :: B\n",
                5,
                "not a mapping (key: value); put",
            ),
            (
                "profiles:\n  p:\n    name: x\n    classifiers:\n      - A :: B :: C\n",
                5,
                'holds ": " in quotes',
            ),
            ("profiles:\n  p:\n    name: x\n    classifiers:\n      - *\n", 5, 'begins with "*" in quotes'),
            ("profiles:\n  p:\n    name: x\n    include:\n      - *-foo\n", 5, 'begins with "*" in quotes'),
            ("profiles:\n  p:\n\tname: x\n", 3, "indent with blanks, not tabs"),
            (
                "profiles:\n  p:\n    name: x\n    name: y\n",
                4,
                "'name' stands twice (first in line 3); remove one",
            ),
            (
                "profiles:\n  p: {name: x, include: [a]}\n  p: {name: y, include: [b]}\n",
                3,
                "'p' stands twice",
            ),
            ("profiles:\n  Plone: {name: x, include: [a]}\n", 2, "'Plone' cannot name a collection; use"),
            ("profiles:\n  a/b: {name: x, include: [a]}\n", 2, "'a/b' cannot name a collection"),
            (
                "profiles:\n  plone-2: {name: x, include: [a]}\n",
                2,
                "looks like version 2 of a collection; rename",
            ),
            ("profiles:\n  all: {name: x, include: [a]}\n", 2, "'all' means every profile; rename it"),
            ("profiles:\n  no: {name: x, include: [a]}\n", 2, "is true or false; put it in quotes"),
            ("profiles:\n  p: {name: x, include: [a b]}\n", 2, "'a b' is not a package name"),
            (
                "profiles:\n  p: {name: x, include: [a], hints: ['*']}\n",
                2,
                "'*' is not a word of a package name",
            ),
            (
                'profiles:\n  p: {name: "\\e[31m", include: [a]}\n',
                2,
                "holds an invisible character: '\\x1b[31m'",
            ),
            (f"profiles:\n  p: {{name: {'x' * 201}}}\n", 2, "is longer than 200 characters"),
            ("profiles:\n  p: !!python/object:os.system {}\n", 2, "profile 'p' has no name"),
            (
                "profiles:\n  p: {name: !!python/name:os.system x, include: [a]}\n",
                2,
                "must be text, not something",
            ),
            ("profiles:\n  p: {name: x, include: [a]\n", 3, "not YAML: expected ',' or '}'"),
            ("a: b\n---\nc: d\n", 2, "keep everything under one `profiles:`"),
            ("profiles:\n  p: 'a\x00b'\n", 2, "the character U+0000 is not allowed; remove it"),
            (b"profiles:\n  p:\n    name: \xff\n", 3, "not UTF-8; save the file as UTF-8"),
            ("[" * 5000, 1, "nested too deeply"),
            ("profiles: &a {p: *a}\n", 1, "has no name"),
        ],
    )
    def test_an_error_names_the_line_and_the_remedy(
        self, load: Load, tmp_path: Path, text: str | bytes, line: int, what: str
    ) -> None:
        with pytest.raises(ProfileError) as caught:
            load(text)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'profiles.yaml'}:{line}: ")
        assert what in message
        assert message.isprintable(), "one line"

    def test_a_misspelt_key_is_warned_about(self, load: Load) -> None:
        (only,) = load("profiles:\n  p:\n    name: x\n    include: [a]\n    hint: [b]\n").values()
        assert only.warnings == ("line 5: unknown key 'hint' is ignored (did you mean 'hints'?)",)

    def test_aliases_cannot_blow_up(self, load: Load) -> None:
        lists = ", ".join(f"c{number}" for number in range(1000))
        bomb = f"profiles:\n  p0: {{name: x, include: &a [{lists}]}}\n"
        bomb += "".join(f"  p{number}: {{name: x, include: *a}}\n" for number in range(1, 3000))
        with pytest.raises(ProfileError, match="more than 20,000 list entries"):
            load(bomb)

    def test_a_huge_file_is_refused_unread(self, load: Load) -> None:
        with pytest.raises(ProfileError, match="larger than 200,000 bytes"):
            load("#" * 300_000)

    @given(
        st.binary(max_size=200)
        | st.text(alphabet="profiles:\n -&*a[]{}'\"!|>%\t", max_size=80).map(str.encode)
    )
    @hypothesis_settings(max_examples=200)
    def test_no_text_raises_anything_else(self, data: bytes) -> None:
        for text in (data, b"profiles:\n  p:\n    name: x\n    classifiers:\n" + data):
            message = "x:0: "
            try:
                parse_profiles(text, "x")
            except ProfileError as error:
                message = str(error)
            assert re.match(r"x:\d+: ", message)

    def test_a_file_that_cannot_be_read_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match=r"PROFILES_FILE names .*nope.* not a file"):
            load_profiles(tmp_path / "nope")
        with pytest.raises(ProfileError, match="not a file"):
            load_profiles(tmp_path)


class TestBuiltIn:
    def test_the_families_are_there_and_known_to_pypi(self) -> None:
        profiles = load_profiles(ROOT / "profiles.yaml")
        assert {"plone", "django", "flask"} <= set(profiles)
        assert len(profiles) >= 12
        assert profiles["plone"].hints == ("plone", "collective", "products", "zope")
        for each in profiles.values():
            assert unknown_classifiers(each) == []
            assert each.warnings == ()
            assert each.hints

    def test_django_leaves_django_cms_alone(self) -> None:
        profiles = load_profiles(ROOT / "profiles.yaml")
        matching = [
            key for key, each in profiles.items() if each.matches("x", ("Framework :: Django CMS :: 3.11",))
        ]
        assert matching == ["django-cms"]


def test_unknown_classifiers_are_named_with_close_ones() -> None:
    warnings = unknown_classifiers(
        profile(
            classifiers=("Framework :: Plonee", "*", "Framework", "Framework :: Django CMS :: 4.2", "zzz")
        )
    )
    assert warnings[0].startswith("unknown classifier 'Framework :: Plonee'; close: Framework :: Plone")
    assert warnings[1:] == ["unknown classifier 'zzz'"], "parents, deprecated ones and * are known"


class TestSelect:
    profiles = {key: Profile(key, key) for key in ("plone", "django", "flask")}  # noqa: RUF012  (never changed)

    def keys(self, spec: str) -> list[str]:
        return [each.key for each in select(spec, self.profiles)]

    def test_one_several_all(self) -> None:
        assert self.keys("plone") == ["plone"]
        assert self.keys("django, plone,,django") == ["django", "plone"]
        assert self.keys("all") == ["plone", "django", "flask"]

    def test_an_unknown_profile_is_named_with_those_known(self) -> None:
        with pytest.raises(ProfileError, match=r"^unknown profile 'nope'; known: plone, django, flask$"):
            self.keys("plone,nope")
        with pytest.raises(ProfileError, match=r"did you mean 'plone'\?"):
            self.keys("Plon")
        with pytest.raises(ProfileError, match="no profile named; known: plone"):
            self.keys(" , ")


class TestFinding:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        (tmp_path / "scrapy.cfg").touch()
        (tmp_path / "profiles.yaml").write_text("profiles: {found: {name: x, include: [a]}}")
        (tmp_path / "deep" / "er").mkdir(parents=True)
        return tmp_path

    def test_in_a_checkout_and_in_a_sub_folder(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for folder in (checkout, checkout / "deep" / "er"):
            monkeypatch.chdir(folder)
            assert list(load_profiles()) == ["found"]

    def test_the_configured_file_wins(self, checkout: Path) -> None:
        other = checkout / "other.yaml"
        other.touch()
        assert find_profiles_file(other, checkout) == other

    def test_elsewhere_the_file_beside_the_package_serves(self, tmp_path: Path) -> None:
        assert find_profiles_file(start=tmp_path) == ROOT / "profiles.yaml"

    def test_in_an_egg(self, tmp_path: Path) -> None:
        """scrapyd imports the project from a zip; without its profiles each job would fail at run time."""
        egg, elsewhere = tmp_path / "project.egg", tmp_path / "elsewhere"
        elsewhere.mkdir()
        with zipfile.ZipFile(egg, "w") as archive:
            for module in sorted((ROOT / "pyf_scrapy").glob("*.py")):
                archive.write(module, f"pyf_scrapy/{module.name}")
            archive.write(ROOT / "profiles.yaml", "pyf_scrapy/profiles.yaml")
        script = (
            f"import sys; sys.path.insert(0, {str(egg)!r})\n"
            "from pyf_scrapy.profiles import load_profiles, find_profiles_file\n"
            "print(find_profiles_file(), *load_profiles())"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-c", script], cwd=elsewhere, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(str(egg))
        assert "plone django flask" in done.stdout

    def test_nowhere_is_one_line(self, tmp_path: Path) -> None:
        """A package without the file says where to put it."""
        package = tmp_path / "lib" / "pyf_scrapy"
        package.mkdir(parents=True)
        for module in (ROOT / "pyf_scrapy").glob("*.py"):
            shutil.copy(module, package)
        script = (
            f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
            "import pyf_scrapy.profiles as p; p.load_profiles()"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True
        )
        assert "no profiles.yaml found; put one beside scrapy.cfg or set PROFILES_FILE" in done.stderr
