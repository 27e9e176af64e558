"""The text of profiles.yaml to plain values, with the line of whatever is wrong in it.

PyYAML only composes nodes (they know their lines); no object is ever constructed. It accepts duplicate
keys and unbounded aliases silently, so both are checked here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, NoReturn

import yaml

from pyf_scrapy.exceptions import ProfileError

MAX_BYTES = 200_000  # PyYAML reads about 100 kB a second
MAX_ENTRIES = 20_000  # list entries of the whole file, counted after aliases
MAX_TEXT = 200
MAX_SYNONYMS = 500  # groups of a profile; each is a request when it is new

LISTS = ("classifiers", "hints", "include", "exclude")
KEYS = ("name", *LISTS, "synonyms")
_RESERVED = ("all",)  # means every profile on the command line

_KEY = re.compile(r"(?=.{1,63}\Z)[a-z][a-z0-9_]*(-[a-z0-9_]+)*")
_VERSIONED = re.compile(r".*-[0-9]+")
_HINT = re.compile(r"[A-Za-z0-9]+([-_.]+[A-Za-z0-9]+)*")
_GLOB = re.compile(r"([A-Za-z0-9._*?-]|\[!?[A-Za-z0-9._-]+\])+")
_WORD = re.compile(r"[^\W_]")

_TEXT_TAG = "tag:yaml.org,2002:str"
_TYPES = {
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
}

# What PyYAML says -> what to do about it.
_REMEDIES = (
    ("'\\t'", "indent with blanks, not tabs"),
    ("mapping values are not allowed", 'put text that holds ": " in quotes'),
    ("alias", 'put text that begins with "*" in quotes'),
    ("single document", "keep everything under one `profiles:`"),
)


@dataclass(frozen=True)
class SynonymGroup:
    """Words, or several with blanks between them, that stand for each other in a search; with `root` only it
    finds the words too, and none of them finds it."""

    words: tuple[str, ...]
    root: str = ""


def read_limited(file: Traversable) -> bytes:
    """The bytes of a file, at most MAX_BYTES. Raises ProfileError when it is larger or cannot be read."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ProfileError(f"{file}: larger than {MAX_BYTES:,} bytes; move profiles to another file")
    return data


def parse_profiles(data: bytes, source: str) -> dict[str, dict[str, Any]]:
    """key -> name, lists (tuples of str), `synonyms` (tuple of SynonymGroup) and `warnings` of each profile,
    in the order of the file.

    `source` names the file in messages. Raises ProfileError (`source:line: what; remedy`) only.
    """
    return _Reader(source).read(data)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the closest known word, else nothing."""
    close = difflib.get_close_matches(word[:100].lower(), list(known), n=1, cutoff=0.7)
    return f" (did you mean {close[0]!r}?)" if close else ""


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._entries = 0

    def read(self, data: bytes) -> dict[str, dict[str, Any]]:
        root = self._compose(data)
        example = "it must begin with `profiles:`, and the profiles indented below it"
        if root is None:
            self._fail(1, f"the file is empty; {example}")
        if not isinstance(root, yaml.MappingNode):
            self._fail(root, f"found {_describe(root)}; {example}")
        sections = {key: node for key, _, node in self._pairs(root, "the file")}
        if "profiles" not in sections:
            self._fail(root, f"`profiles` is missing; {example}")
        for key, key_node, _ in self._pairs(root, "the file"):
            if key != "profiles":
                self._fail(key_node, f"unknown key {key!r}; indent profiles with blanks below `profiles:`")
        profiles = sections["profiles"]
        if not isinstance(profiles, yaml.MappingNode) or not profiles.value:
            self._fail(
                profiles, f"`profiles` holds {_describe(profiles)}; indent the profiles below it, as KEY:"
            )
        return {
            key: self._profile(key, key_node, node)
            for key, key_node, node in self._pairs(profiles, "profiles")
        }

    def _compose(self, data: bytes) -> yaml.Node | None:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._fail(data.count(b"\n", 0, error.start) + 1, "not UTF-8; save the file as UTF-8")
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            what = f"{error.context or ''} {error.problem}".strip()
            remedy = next(
                (remedy for part, remedy in _REMEDIES if part in what), "check the line and the one before"
            )
            mark = error.problem_mark or error.context_mark
            self._fail(mark.line + 1 if mark else 1, f"not YAML: {error.problem}; {remedy}")
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._fail(line, f"the character U+{ord(text[error.position]):04X} is not allowed; remove it")
        except RecursionError:
            self._fail(1, "nested too deeply; a profile holds texts and lists of texts only")
        except (ValueError, OverflowError):  # PyYAML's chr() and int(): "\UFFFFFFFF", %YAML with 5,000 digits
            self._fail(1, "not YAML: an escape such as \\U or a %YAML line has too large a number; remove it")

    def _profile(self, key: str, key_node: yaml.Node, node: yaml.Node) -> dict[str, Any]:
        if not _KEY.fullmatch(key):
            self._fail(
                key_node,
                f"{key[:80]!r} cannot name a collection; use a-z, then a-z, 0-9, _ and single - (at most 63)",
            )
        if _VERSIONED.fullmatch(key):
            self._fail(
                key_node, f"{key!r} looks like version {key.rpartition('-')[2]} of a collection; rename it"
            )
        if key in _RESERVED:
            self._fail(key_node, f"{key!r} means every profile; rename it")
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"profile {key!r} holds {_describe(node)}; give it `name` and `classifiers`")
        fields: dict[str, Any] = {}
        warnings = []
        for name, name_node, value in self._pairs(node, f"profile {key!r}"):
            what = f"{name} of profile {key!r}"
            if name == "name":
                fields[name] = self._text(value, what)
            elif name in LISTS:
                fields[name] = tuple(self._list(value, name, what))
            elif name == "synonyms":
                fields[name] = tuple(dict.fromkeys(self._synonyms(value, what)))
            else:
                line = name_node.start_mark.line + 1
                warnings.append(
                    f"line {line}: unknown key {name[:80]!r} is ignored{did_you_mean(name, KEYS)}"
                )
        if "name" not in fields:
            self._fail(key_node, f"profile {key!r} has no name; add `name: ...`")
        if not fields.get("classifiers") and not fields.get("include"):
            self._fail(
                key_node, f'profile {key!r} has no classifiers; add `classifiers:` ("*" in quotes = all)'
            )
        return {**fields, "warnings": tuple(warnings)}

    def _synonyms(self, node: yaml.Node, what: str) -> Iterator[SynonymGroup]:
        entries = self._nodes(node, what)
        if len(entries) > MAX_SYNONYMS:
            self._fail(node, f"{what} has more than {MAX_SYNONYMS} entries; remove some")
        for entry in entries:
            if not isinstance(entry, yaml.MappingNode):
                words = self._words(entry, f"an entry in {what}")
                if len(words) < 2:
                    self._fail(entry, f"an entry in {what} has one word only; add what means the same")
                yield SynonymGroup(words)
                continue
            parts = {key: value for key, _, value in self._pairs(entry, f"an entry in {what}")}
            if parts.keys() != {"root", "synonyms"}:
                self._fail(
                    entry, f"an entry in {what} must be a list of words, or `root: ...` and `synonyms: [...]`"
                )
            root = self._word(parts["root"], f"a root in {what}")
            words = self._words(parts["synonyms"], f"synonyms of {root!r} in {what}")
            if root.casefold() in map(str.casefold, words):
                self._fail(entry, f"{root!r} is among its own synonyms; remove it there")
            yield SynonymGroup(words, root)

    def _words(self, node: yaml.Node, what: str) -> tuple[str, ...]:
        words: dict[str, str] = {}
        for entry in self._nodes(node, what):
            word = self._word(entry, f"a word of {what}")
            words.setdefault(word.casefold(), word)
        return tuple(words.values())

    def _word(self, node: yaml.Node, what: str) -> str:
        word = self._text(node, what)
        if not _WORD.search(word):
            self._fail(node, f"{what} has no letter or digit: {word!r}; a search could not find it")
        return word

    def _nodes(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{what} must be a list, not {_describe(node)}; begin each entry with `- `")
        if not node.value:
            self._fail(node, f"{what} is an empty list; add an entry or remove the key")
        self._entries += len(node.value)
        if self._entries > MAX_ENTRIES:
            self._fail(node, f"more than {MAX_ENTRIES:,} list entries; split the file")
        nodes: list[yaml.Node] = node.value
        return nodes

    def _list(self, node: yaml.Node, name: str, what: str) -> Iterator[str]:
        seen = set()
        for entry_node in self._nodes(node, what):
            entry = self._text(entry_node, f"an entry in {what}")
            if name == "hints" and not _HINT.fullmatch(entry):
                self._fail(
                    entry_node, f"{entry!r} is not a word of a package name; use letters, digits and -"
                )
            if name in ("include", "exclude") and not _GLOB.fullmatch(entry):
                self._fail(
                    entry_node, f"{entry!r} is not a package name; use letters, digits, . _ - and * ? [abc]"
                )
            if entry not in seen:
                seen.add(entry)
                yield entry

    def _text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT_TAG:
            self._fail(node, f"{what} must be text, not {_describe(node)}; put it in quotes")
        text: str = node.value.strip()
        if not text:
            self._fail(node, f"{what} is empty; fill it in or remove it")
        if len(text) > MAX_TEXT:
            self._fail(node, f"{what} is longer than {MAX_TEXT} characters; shorten it")
        if not text.isprintable():
            self._fail(node, f"{what} holds an invisible character: {text!r}; type it again")
        return text

    def _pairs(self, node: yaml.MappingNode, what: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        lines: dict[str, int] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TEXT_TAG:
                self._fail(key_node, f"a key of {what} is {_describe(key_node)}; put it in quotes")
            key: str = key_node.value
            if key in lines:
                self._fail(key_node, f"{key[:80]!r} stands twice (first in line {lines[key]}); remove one")
            lines[key] = key_node.start_mark.line + 1
            yield key, key_node, value

    def _fail(self, where: yaml.Node | int, message: str) -> NoReturn:
        line = where if isinstance(where, int) else where.start_mark.line + 1
        raise ProfileError(f"{self._source}:{line}: {message}") from None


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping (key: value)"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return _TYPES.get(node.tag.rpartition(":")[2], "a text" if node.tag == _TEXT_TAG else "something else")
