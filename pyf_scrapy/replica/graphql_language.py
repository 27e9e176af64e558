"""Reads GraphQL documents: queries with variables, aliases, arguments and fragments.

Not read, as nobody here needs it: directives, block strings, mutations, subscriptions.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<ignored> [\s,\ufeff]+ | \#[^\n\r]* )
  | (?P<name> [_A-Za-z][_0-9A-Za-z]* )
  | (?P<float> -?(?:0|[1-9]\d*) (?: \.\d+(?:[eE][+-]?\d+)? | [eE][+-]?\d+ ) )
  | (?P<int> -?(?:0|[1-9]\d*) )
  | (?P<string> "(?:[^"\\\n\r]|\\.)*" )
  | (?P<mark> \.\.\. | [!$()\[\]{}:=] )
    """,
    re.VERBOSE,
)
_DEEPEST = 25
_CONSTANTS = {"true": True, "false": False, "null": None}


class GraphQLError(Exception):
    """Raised for a document that cannot be read."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.place = Place(line, column)


class Place(NamedTuple):
    """Where something stands, from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Variable:
    """`$name` in a place of a value."""

    name: str


@dataclass(frozen=True)
class Enum:
    """A bare word in a place of a value."""

    name: str


Value = bool | int | float | str | Variable | Enum | list["Value"] | None


@dataclass(frozen=True)
class Field:
    """`alias: name(arguments) { selections }`."""

    name: str
    key: str
    """The alias, or the name where there is none."""
    arguments: dict[str, Value]
    selections: tuple[Selection, ...]
    place: Place


@dataclass(frozen=True)
class Spread:
    """`...name`."""

    name: str
    place: Place


@dataclass(frozen=True)
class Inline:
    """`... on Type { selections }`."""

    type: str | None
    selections: tuple[Selection, ...]
    place: Place


Selection = Field | Spread | Inline


@dataclass(frozen=True)
class Declaration:
    """`$name: Type = default`; the type as written, `[ID!]!`."""

    name: str
    type: str
    default: Value
    place: Place


@dataclass(frozen=True)
class Operation:
    """A query; `name` is None for an anonymous one."""

    name: str | None
    declarations: tuple[Declaration, ...]
    selections: tuple[Selection, ...]
    place: Place


@dataclass(frozen=True)
class Fragment:
    """`fragment name on Type { selections }`."""

    name: str
    type: str
    selections: tuple[Selection, ...]
    place: Place


class Document(NamedTuple):
    """All that was sent."""

    operations: list[Operation]
    fragments: dict[str, Fragment]


class _Token(NamedTuple):
    kind: str
    text: str
    place: Place


def parse(text: str) -> Document:
    """The document in a text. Raises GraphQLError."""
    return _Parser(_tokens(text)).document()


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at, line, begin = 0, 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        place = Place(line, at - begin + 1)
        if match is None:
            raise GraphQLError(
                f"Parse error on {json.dumps(text[at])} at [{place.line}, {place.column}]", *place
            )
        if match.lastgroup == "ignored":
            breaks = match[0].count("\n")
            if breaks:
                line += breaks
                begin = at + match[0].rindex("\n") + 1
        else:
            tokens.append(_Token(str(match.lastgroup), match[0], place))
        at = match.end()
    tokens.append(_Token("end", "end of file", Place(line, at - begin + 1)))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def document(self) -> Document:
        document = Document([], {})
        while self._next.kind != "end":
            if self._next.text == "fragment":
                fragment = self._fragment()
                if fragment.name in document.fragments:
                    message = f'Fragment name "{fragment.name}" must be unique'
                    raise GraphQLError(message, *fragment.place)
                document.fragments[fragment.name] = fragment
            else:
                document.operations.append(self._operation())
        return document

    def _operation(self) -> Operation:
        place = self._next.place
        if self._next.text == "{":
            return Operation(None, (), self._selections(), place)
        if self._next.text != "query":
            raise self._unexpected("query")
        self._take()
        name = self._name() if self._next.kind == "name" else None
        declarations = []
        if self._skip("("):
            while not self._skip(")"):
                declarations.append(self._declaration())
        return Operation(name, tuple(declarations), self._selections(), place)

    def _fragment(self) -> Fragment:
        place = self._take().place
        name = self._name()
        if name == "on":
            raise self._unexpected("a name")
        self._want("on")
        return Fragment(name, self._name(), self._selections(), place)

    def _declaration(self) -> Declaration:
        place = self._want("$").place
        name = self._name()
        self._want(":")
        kind = self._type()
        return Declaration(name, kind, self._value() if self._skip("=") else None, place)

    def _type(self) -> str:
        if self._skip("["):
            self._deeper()
            kind = f"[{self._type()}]"
            self._want("]")
            self._depth -= 1
        else:
            kind = self._name()
        return kind + "!" if self._skip("!") else kind

    def _selections(self) -> tuple[Selection, ...]:
        self._want("{")
        self._deeper()
        found = [self._selection()]
        while not self._skip("}"):
            found.append(self._selection())
        self._depth -= 1
        return tuple(found)

    def _selection(self) -> Selection:
        place = self._next.place
        if self._skip("..."):
            if self._next.kind == "name" and self._next.text != "on":
                return Spread(self._name(), place)
            kind = self._name() if self._skip("on") else None
            return Inline(kind, self._selections(), place)
        name = key = self._name()
        if self._skip(":"):
            name = self._name()
        arguments: dict[str, Value] = {}
        if self._skip("("):
            while not self._skip(")"):
                argument = self._name()
                self._want(":")
                arguments[argument] = self._value()
        selections = self._selections() if self._next.text == "{" else ()
        return Field(name, key, arguments, selections, place)

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "name":
            return _CONSTANTS[token.text] if token.text in _CONSTANTS else Enum(token.text)
        if token.kind == "int" and len(token.text) < 20:
            return int(token.text)
        if token.kind == "float":
            return float(token.text)
        if token.kind == "string":
            return self._string(token)
        if token.text == "$":
            return Variable(self._name())
        if token.text == "[":
            self._deeper()
            values = []
            while not self._skip("]"):
                values.append(self._value())
            self._depth -= 1
            return values
        self._at -= 1
        raise self._unexpected("a value")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise GraphQLError(f"Query has depth of more than {_DEEPEST}", *self._next.place)

    def _string(self, token: _Token) -> str:
        try:
            return str(json.loads(token.text, strict=False))
        except ValueError as error:
            raise GraphQLError(f"Bad string at {list(token.place)}", *token.place) from error

    def _name(self) -> str:
        if self._next.kind != "name":
            raise self._unexpected("NAME")
        return self._take().text

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, text: str) -> bool:
        if self._next.text == text and self._next.kind in ("mark", "name"):
            self._at += 1
            return True
        return False

    def _want(self, text: str) -> _Token:
        if not self._skip(text):
            raise self._unexpected(text)
        return self._tokens[self._at - 1]

    def _unexpected(self, expected: str) -> GraphQLError:
        token = self._next
        where = f"[{token.place.line}, {token.place.column}]"
        message = f"Expected {expected}, actual: {json.dumps(token.text)} at {where}"
        return GraphQLError(message, *token.place)
