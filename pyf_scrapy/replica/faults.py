"""The fault plan: which requests go wrong, how and how often."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from pyf_scrapy.exceptions import ReplicaError

_STATUS = re.compile(r"^status-[45]\d\d$")
_KINDS = ("slow", "cut", "garbage", "html", "stale", "disconnect")
_KEYS = ("match", "fault", "times", "per", "above", "retry_after", "delay", "serial_lag")
_IN_SECONDS = re.compile(r"^date\+\d{1,6}$")


@dataclass(frozen=True)
class Rule:
    """One line of the plan.

    `match`: a glob of normalized project names, or of paths when it begins with `/` (`/simple/`: the index).
    `fault`: `status-404` (any 4xx or 5xx), `slow` (wait `delay` seconds, then answer), `cut` (half the body),
    `garbage` (200 with bytes that are no JSON), `html` (200 with an error page), `stale` (the state before
    the last change, serial lower by `serial_lag`), `disconnect` (no answer).
    `times`: so many requests of each path (`per: rule` counts all paths together), None = always.
    `above`: only what exceeds so many requests in any second; those it spoils do not count among them.
    `retry_after`: seconds, an HTTP date, or `date+N` for the date N seconds from now.
    """

    match: str
    fault: str
    times: int | None = None
    per: str = "path"
    above: int = 0
    retry_after: str | None = None
    delay: float = 1.0
    serial_lag: int = 8

    @property
    def status(self) -> int:
        """The status of a `status-NNN` fault, else 0."""
        return int(self.fault[7:]) if self.fault.startswith("status-") else 0

    def covers(self, path: str, name: str | None) -> bool:
        """True when the rule is about this path or this project."""
        if self.match.startswith("/"):
            return fnmatchcase(path, self.match)
        return name is not None and fnmatchcase(name, self.match)


class Plan:
    """The rules in force; counts how often each applied. `clock` gives seconds."""

    def __init__(self, rules: list[Rule] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules or []
        self._clock = clock
        self.applied: Counter[str] = Counter()
        """How often each kind of fault happened."""
        self._used: Counter[tuple[int, str]] = Counter()
        self._spared: defaultdict[int, deque[float]] = defaultdict(deque)
        """When requests came that a rule left alone because there were no more than `above`, by its place."""

    def next(self, path: str, name: str | None) -> Rule | None:
        """The first rule that covers the request and is not used up; counts it."""
        for place, rule in enumerate(self.rules):
            if rule.covers(path, name):
                key = (place, path if rule.per == "path" else "")
                if rule.above and self._spares(place, rule.above, self._clock()):
                    continue
                if rule.times is None or self._used[key] < rule.times:
                    if rule.times is not None:
                        self._used[key] += 1
                    self.applied[rule.fault] += 1
                    return rule
        return None

    def _spares(self, place: int, above: int, now: float) -> bool:
        spared = self._spared[place]
        while spared and spared[0] <= now - 1:
            spared.popleft()
        if len(spared) >= above:
            return False
        spared.append(now)
        return True


def load_plan(path: Path) -> list[Rule]:
    """The rules of a YAML or JSON file. Raises ReplicaError naming the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplicaError(f"{path}: cannot be read: {error}") from error
    return parse_plan(text, str(path))


def parse_plan(text: str, where: str) -> list[Rule]:
    """The rules of a plan's text (a list of mappings). Raises ReplicaError naming `where` and the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ReplicaError(f"{where}, line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ReplicaError(f"{where}: {' '.join(str(error).split())}") from error
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise _wrong(where, root, "a plan is a list of rules with match and fault")
    return [_rule(node, where) for node in root.value]


def _wrong(where: str, node: yaml.Node, reason: str) -> ReplicaError:
    return ReplicaError(f"{where}, line {node.start_mark.line + 1}: {reason}")


def _rule(node: yaml.Node, where: str) -> Rule:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(where, node, "a rule is a mapping with match and fault")
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if key not in _KEYS:
            raise _wrong(where, key_node, f"unknown key {key!r}; known: {', '.join(_KEYS)}")
        if not isinstance(value_node, yaml.ScalarNode):
            raise _wrong(where, value_node, f"{key} is a single value")
        try:
            values[key] = _value(key, value_node.value)
        except ValueError as error:
            raise _wrong(where, value_node, f"{key}: {error}") from error
    for key in ("match", "fault"):
        if key not in values:
            raise _wrong(where, node, f"{key} is missing")
    return Rule(**values)


def _value(key: str, text: str) -> str | int | float | None:
    """A value from its text; ValueError says what would be right."""
    if key == "match":
        if not text:
            raise ValueError("needs a glob of project names, or of paths beginning with /")
        return text
    if key == "fault":
        if text not in _KINDS and not _STATUS.match(text):
            raise ValueError(f"unknown fault {text!r}; known: status-NNN, {', '.join(_KINDS)}")
        return text
    if key == "times":
        if text == "always":
            return None
        if not text.isdecimal():
            raise ValueError(f"{text!r} is neither a number nor always")
        return int(text)
    if key == "per":
        if text not in ("path", "rule"):
            raise ValueError(f"{text!r} is neither path nor rule")
        return text
    if key == "retry_after":
        if not text.isdecimal() and not _IN_SECONDS.match(text):
            _http_date(text)
        return text
    if key == "delay":
        delay = float(text)
        if not 0 <= delay <= 3600:
            raise ValueError(f"{text} is not between 0 and 3600 seconds")
        return delay
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _http_date(text: str) -> None:
    try:
        parsedate_to_datetime(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is neither seconds, an HTTP date nor date+SECONDS") from error
