"""What a setting is, and the reading of its text: convert, check, say what would be right."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pyf_scrapy.crontab import Crontab, time_zone
from pyf_scrapy.exceptions import UsageProblem

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]+\]?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_WEB = ("http", "https")

Value = str | int | float | Path | dict[str, float] | None


@dataclass(frozen=True)
class Setting:
    """One setting. `default` None means not set; `type` says how the text is read and checked.

    `minimum` and `maximum` are for numbers, `schemes` for URLs (a URL of another scheme than http and
    https may hold credentials and need no host). A `cron` is a crontab expression or one of `choices`; an
    empty one means off. `amounts` are numbers by name, the names those of `choices`. `former` are names of
    the seeds that are read when it is not set itself.
    """

    name: str
    default: str | int | float | None
    type: Literal["str", "name", "host", "int", "float", "path", "url", "secret", "cron", "zone", "amounts"]
    help: str
    component: str
    choices: tuple[str, ...] = ()
    minimum: float = 0
    maximum: float = math.inf
    schemes: tuple[str, ...] = _WEB
    former: tuple[str, ...] = ()

    @property
    def default_text(self) -> str:
        """The default as a user would write it, "" for none."""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default or "")

    @property
    def file(self) -> Setting | None:
        """`NAME_FILE`, which names a file that holds the value, where that may be a secret; else None."""
        if self.type == "secret" or (self.type == "url" and self.schemes != _WEB):
            return Setting(f"{self.name}_FILE", None, "path", f"a file with {self.name}", self.component)
        return None

    def read(self, text: str | None, folder: Path) -> Value:
        """The value of `text`, or the default when there is none (a blank one is none, but for a `cron`).

        A path is relative to `folder`. Raises UsageProblem naming the setting, the text (unless that may be a
        secret) and what would be right.
        """
        if text is not None and not text.strip() and self.type == "cron":
            return ""
        text = (text or "").strip()
        value = self._convert(text) if text else self.default
        return self._absolute(str(value), folder) if self.type == "path" and value is not None else value

    def _convert(self, text: str) -> str | int | float | dict[str, float]:
        if not text.isprintable():
            raise self._wrong("", "must not hold control characters")
        if self.type == "secret":
            if not text.isascii() or " " in text:
                raise self._wrong("", "must be ASCII without blanks")
        elif self.type in ("int", "float"):
            return self._number(text)
        elif self.type == "url":
            return self._url(text)
        elif self.type == "cron":
            return self._cron(text)
        elif self.type == "zone":
            self._check_zone(text)
        elif self.type == "amounts":
            return self._amounts(text)
        elif self.choices:
            if text not in self.choices:
                raise self._wrong(text, f"must be {' or '.join(self.choices)}")
        elif self.type == "host" and not _HOST.fullmatch(text):
            raise self._wrong(text, "must be a host name or address alone, without protocol, port and path")
        elif self.type == "name" and not _NAME.fullmatch(text):
            raise self._wrong(text, "must be letters, digits, - _ and . only")
        return text

    def _number(self, text: str) -> int | float:
        kind = "a whole number" if self.type == "int" else "a number"
        span = f"of at least {self.minimum:g}"
        if self.maximum < math.inf:
            span = f"from {self.minimum:g} to {self.maximum:g}"
        try:
            number = int(text) if self.type == "int" else float(text)
        except ValueError:
            raise self._wrong(text, f"must be {kind} {span}") from None
        if not (math.isfinite(number) and self.minimum <= number <= self.maximum):
            raise self._wrong(text, f"must be {kind} {span}")
        return number

    def _url(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise self._wrong("", "is not a URL; check its host and port") from None
        if parts.scheme not in self.schemes:
            raise self._wrong(
                text, f"must begin with {' or '.join(f'{scheme}://' for scheme in self.schemes)}"
            )
        if " " in text:
            raise self._wrong(text, "must not hold blanks")
        if self.schemes != _WEB:
            return text
        if parts.username is not None or parts.password is not None:
            raise self._wrong("", "must not hold a user name or password, because it is stored and shown")
        if not host or not _HOST.fullmatch(host):
            raise self._wrong(text, f"has no valid host; for example {self.default}")
        if parts.query or parts.fragment:
            raise self._wrong(text, "must not hold ? or #")
        return text.rstrip("/")

    def _cron(self, text: str) -> str:
        if text in self.choices:
            return text
        words = "".join(f", or the word {word}" for word in self.choices)
        try:
            return Crontab(text).text
        except ValueError as error:
            raise self._wrong(
                text,
                f"{error}: write minute, hour, day, month and weekday as for cron (*/30 * * * *){words}; "
                "nothing means off",
            ) from None

    def _check_zone(self, text: str) -> None:
        try:
            time_zone(text)
        except (LookupError, ValueError, OSError):
            raise self._wrong(
                text, "must be a time zone of this system, such as UTC or Europe/Berlin"
            ) from None

    def _amounts(self, text: str) -> dict[str, float]:
        amounts = {}
        for pair in text.replace(",", " ").split():
            name, _, number = pair.partition("=")
            if name not in self.choices or not number:
                raise self._wrong(
                    text, f"must be NAME=NUMBER, several with blanks; the names are {', '.join(self.choices)}"
                )
            amounts[name] = float(self._number(number))
        return amounts

    def _absolute(self, text: str, folder: Path) -> Path:
        try:
            return (folder / Path(text).expanduser()).resolve()
        except (RuntimeError, OSError):  # no such user, a loop of links
            raise self._wrong(text, "is not a usable path; write it in full") from None

    def _wrong(self, shown: str, remedy: str) -> UsageProblem:
        """`shown` is the text, or "" when it may be secret; what stands before an @ may be a password."""
        value = f"={shown[:100]!r}" if shown and "@" not in shown and self.file is None else ""
        return UsageProblem(f"{self.name}{value} {remedy}")
