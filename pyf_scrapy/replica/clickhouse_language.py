"""Reads the words of SQL as ClickHouse spells them: names, strings, dates, parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<ignored> \s+ | --[^\n]* )
  | (?P<name> [A-Za-z_][A-Za-z_0-9]* )
  | (?P<number> \d{1,9} )
  | (?P<string> '(?:[^'\\]|\\.|'')*' )
  | (?P<mark> <= | >= | != | <> | [=<>(),.+\-;{}:] )
    """,
    re.VERBOSE,
)
Days = Callable[[int], bool]
"""Whether a day, an ordinal of `datetime.date`, is meant."""


class SqlError(Exception):
    """Raised for a query that ClickHouse, or the replica, does not answer; `code` is ClickHouse's."""

    def __init__(self, message: str, code: int = 62, kind: str = "SYNTAX_ERROR", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind
        self.status = status


class Token(NamedTuple):
    """A word, a number, a string or a mark, and where it begins."""

    kind: str
    text: str
    at: int


class Reader:
    """Goes through a query. `today` is an ordinal of `datetime.date`; raises SqlError."""

    def __init__(self, text: str, today: int, parameters: Mapping[str, str]) -> None:
        self.text = text
        self.names: dict[str, int] = {}
        """Dates that the query has given a name."""
        self._today = today
        self._parameters = parameters
        self._tokens = self._read(text)
        self._at = 0

    def _read(self, text: str) -> list[Token]:
        tokens = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise failed(text, at)
            if match.lastgroup != "ignored":
                tokens.append(Token(str(match.lastgroup), match[0], at))
            at = match.end()
        return [*tokens, Token("end", "", len(text))]

    def comparison(self) -> Days:
        """`date`, an operator and a day."""
        self.want("date")
        operator = self.take("mark")
        other = self.day()
        tests: dict[str, Days] = {
            ">": lambda day: day > other,
            ">=": lambda day: day >= other,
            "<": lambda day: day < other,
            "<=": lambda day: day <= other,
            "=": lambda day: day == other,
        }
        if operator.text not in tests:
            raise failed(self.text, operator.at)
        return tests[operator.text]

    def day(self) -> int:
        """A date with what is added to it or taken from it."""
        if self.skip("today"):
            self._call_empty()
            day = self._today
        elif self.skip("yesterday"):
            self._call_empty()
            day = self._today - 1
        elif self.skip("toDate"):
            self.want("(")
            day = self._literal()
            self.want(")")
        elif self.next.kind == "name" and self.next.text in self.names:
            day = self.names[self.take("name").text]
        else:
            day = self._literal()
        while self.next.text in ("+", "-"):
            sign = -1 if self.take("mark").text == "-" else 1
            day += sign * self._interval()
        return day

    def _call_empty(self) -> None:
        self.want("(")
        self.want(")")

    def _interval(self) -> int:
        for name, days in (("toIntervalDay", 1), ("toIntervalWeek", 7)):
            if self.skip(name):
                self.want("(")
                count = int(self.take("number").text)
                self.want(")")
                return days * count
        if self.next.text == "{":
            text = self.parameter()
            if not text.isdecimal():
                raise SqlError(f"Value {text} cannot be parsed", 457, "BAD_QUERY_PARAMETER")
            return int(text)
        return int(self.take("number").text)

    def _literal(self) -> int:
        text = self.string()
        try:
            return date.fromisoformat(text).toordinal()
        except ValueError as error:
            raise SqlError(f"Cannot parse date: value {text}", 38, "CANNOT_PARSE_DATE") from error

    def string(self) -> str:
        """A string without its quotes."""
        return self.parameter() if self.next.text == "{" else unquoted(self.take("string").text)

    def parameter(self) -> str:
        """The value of `{name:Type}`."""
        self.want("{")
        name = self.take("name").text
        self.want(":")
        while not self.skip("}"):
            if self.next.kind == "end":
                raise failed(self.text, self.next.at)
            self._at += 1
        if name not in self._parameters:
            raise SqlError(f"Substitution `{name}` is not set", 456, "UNKNOWN_QUERY_PARAMETER")
        return self._parameters[name]

    @property
    def next(self) -> Token:
        """What comes."""
        return self._tokens[self._at]

    def take(self, kind: str) -> Token:
        """Takes what has to be of this kind."""
        token = self.next
        if token.kind != kind:
            raise failed(self.text, token.at)
        self._at += kind != "end"
        return token

    def skip(self, text: str) -> bool:
        """Takes a word, in any case, or a mark."""
        if self.next.kind != "string" and self.next.text.lower() == text.lower():
            self._at += 1
            return True
        return False

    def want(self, text: str) -> None:
        """Takes what has to be this."""
        if not self.skip(text):
            raise failed(self.text, self.next.at)


def unquoted(text: str) -> str:
    """A string as it is meant."""
    return re.sub(r"\\(.)|''", lambda match: match[1] or "'", text[1:-1], flags=re.DOTALL)


def failed(text: str, at: int) -> SqlError:
    """The error about what stands there."""
    if at >= len(text):
        return SqlError(f"Syntax error: failed at position {at + 1} (end of query)")
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    word = text[at : at + 20].split("\n")[0]
    return SqlError(f"Syntax error: failed at position {at + 1} (line {line}, col {column}): {word}")
