"""Reads the settings of settings_table.py from the environment and from `.env`.

`.env` stands beside scrapy.cfg, else in the working directory, never above. The variable PYF_ENV_FILE
names another file; set to nothing it means none. What the environment sets (even to nothing) beats
`.env`; a setting that is empty counts as not set, but for a crontab expression, where it means off. What may
be a secret can stand in a file of its own, which `NAME_FILE` names. Nothing is read when this module is
imported.
"""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.setting_types import Setting
from pyf_scrapy.settings_table import SETTINGS

ENV_FILE_VARIABLE = "PYF_ENV_FILE"
ENV_FILE_MAX_BYTES = 100_000
SECRET_FILE_MAX_BYTES = 10_000
PYPI_HOSTS = ("pypi.org", "test.pypi.org")
PYPI_RPS = 5.0  # on pypi.org: far below what its CDN notices, 49 hours for every project

# Names of pyf.aggregator that mean nothing here -> what to use instead, or why it is not needed.
RENAMED: Mapping[str, str] = {
    "PYPI_MAX_WORKERS": "use PYPI_CONCURRENCY",
    "PYPI_BATCH_SIZE": "not needed: packages are streamed",
    "PYPI_RATE_LIMIT_DELAY": "use PYPI_MAX_RPS (1 / the delay)",
    "PYPI_DISCOVERY": "not needed: PyPI's simple index has every name",
    "GITHUB_COOLOFFTIME": "use GITHUB_REQUEST_DELAY; GitHub says itself when to pause",
    "CELERY_SCHEDULE_MONTHLY_FETCH": "not needed: serials tell what changed; SCHEDULE_FULL fetches all again",
    "CELERY_SCHEDULE_*": "use SCHEDULE_* and `scrapy schedule`",
    "CELERY_*": "not needed: there is no Celery",
    "BIGQUERY_*": "not needed: PyPI's simple index has every name",
    "GOOGLE_CLOUD_PROJECT": "not needed: PyPI's simple index has every name",
    "NPM_*": "npm packages are not indexed",
    "JSDELIVR_*": "npm packages are not indexed",
}


def project_folder(start: Path | None = None) -> Path | None:
    """The folder of the closest scrapy.cfg at or above `start` (default: the working directory), or None."""
    folder = (start or Path.cwd()).resolve()
    return next((parent for parent in (folder, *folder.parents) if (parent / "scrapy.cfg").is_file()), None)


def find_env_file(environ: Mapping[str, str], start: Path | None = None) -> Path | None:
    """The `.env` that counts, or None. Raises UsageProblem when PYF_ENV_FILE names what is no file."""
    named = environ.get(ENV_FILE_VARIABLE)
    if named is not None:
        if named and not Path(named).is_file():
            raise UsageProblem(
                f"{ENV_FILE_VARIABLE} names {named!r}, which is not a file; set it to nothing for none"
            )
        return Path(named) if named else None
    folder = start or Path.cwd()
    candidates = [parent / ".env" for parent in (project_folder(folder), folder) if parent]
    return next((path for path in candidates if path.is_file()), None)


def read_env_file(path: Path) -> dict[str, str]:
    """The values of a `.env` file as written (no `${...}` is expanded).

    Raises UsageProblem naming the line (never its text, it may hold a secret).
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(ENV_FILE_MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageProblem(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    if len(data) > ENV_FILE_MAX_BYTES:
        raise UsageProblem(
            f"{path}: larger than {ENV_FILE_MAX_BYTES:,} bytes; this cannot be a file of settings"
        )
    values = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise UsageProblem(f"{path}:{binding.original.line}: not NAME=value; comments begin with #")
        if binding.key:
            values[binding.key] = binding.value or ""
    return values


def load_environment(environ: Mapping[str, str] | None = None, start: Path | None = None) -> dict[str, Any]:
    """Every setting by name, from `environ` (default: the process's) and `.env`. Raises UsageProblem."""
    environ = os.environ if environ is None else environ
    path = find_env_file(environ, start)
    values = {**(read_env_file(path) if path else {}), **environ}
    return read_environment(values, project_folder(start) or start or Path.cwd())


def read_environment(environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Every setting by name: converted, checked, or its default. Paths are absolute, relative to `folder`.

    Raises UsageProblem naming the variable, its value (unless that may be a secret) and what would be right.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        given = replace(setting, name=_given_name(setting, environ))
        values[setting.name] = given.read(_text(given, environ, folder), folder)
    return values


def _text(setting: Setting, environ: Mapping[str, str], folder: Path) -> str | None:
    """What is set, or what the file says that `NAME_FILE` names. Raises UsageProblem, never with the text."""
    text, file = environ.get(setting.name), setting.file
    path = file.read(environ.get(file.name, ""), folder) if file is not None else None
    if file is None or path is None:
        return text
    if text and text.strip():
        raise UsageProblem(f"{setting.name} and {file.name} are both set; keep one of them")
    try:
        with Path(str(path)).open("rb") as stream:
            data = stream.read(SECRET_FILE_MAX_BYTES + 1)
        lines = data.decode("utf-8").strip().splitlines()
    except OSError as error:
        raise UsageProblem(f"{file.name}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        lines = []
    if len(lines) != 1 or len(data) > SECRET_FILE_MAX_BYTES:
        raise UsageProblem(f"{file.name}: {path} must hold one line of text, {setting.name} alone")
    return lines[0]


def _given_name(setting: Setting, environ: Mapping[str, str]) -> str:
    """The name under which a setting is set: its own, or the first of the seeds' that is not empty."""
    former = [name for name in setting.former if name in environ]
    if setting.name in environ or not former:
        return setting.name
    return next((name for name in former if environ[name].strip()), former[0])


def variables() -> set[str]:
    """The names of all that is read: each setting, its names in the seeds, and `NAME_FILE` of what may be a
    secret."""
    names = {name for setting in SETTINGS for name in (setting.name, *setting.former)}
    return names.union(_file_variables())


def _file_variables() -> list[str]:
    return [setting.file.name for setting in SETTINGS if setting.file is not None]


def ceiling(pypi_url: str, requests_per_second: float | None) -> float:
    """Requests a second for this PyPI: as set, else 5 on pypi.org and no ceiling (0) elsewhere."""
    if requests_per_second is not None:
        return requests_per_second
    return PYPI_RPS if urlsplit(pypi_url).hostname in PYPI_HOSTS else 0.0


def obsolete(environ: Mapping[str, str]) -> list[str]:
    """One line for each variable that is set but not used: of the seeds, or mistyped. Best asked about `.env`
    only: other programs may well own a REDIS_HOST.
    """
    known = {setting.name for setting in SETTINGS}.union(_file_variables())
    families = {name.partition("_")[0] + "_" for name in known}
    hints = []
    for name in sorted(environ.keys() - variables() - {ENV_FILE_VARIABLE}):
        reason = next((reason for pattern, reason in RENAMED.items() if fnmatchcase(name, pattern)), None)
        if reason:
            hints.append(f"{name} is not used; {reason}")
        elif name.startswith(tuple(families)):
            near = difflib.get_close_matches(name, known, n=1)
            hints.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return hints


def renamed(environ: Mapping[str, str]) -> list[str]:
    """One line for each variable of the seeds that is read under another name here."""
    return [
        f"{name} is now {setting.name}" + ("; the latter counts" if setting.name in environ else "")
        for setting in SETTINGS
        for name in setting.former
        if name in environ
    ]


def example_env() -> str:
    """The text of example.env: every setting with its help and default, commented out."""
    lines = [
        "# Settings. Copy this file to .env (beside scrapy.cfg) and take the # from what you change.",
        "# The environment beats .env; an empty value counts as not set, but turns a job of SCHEDULE_* off.",
        f"# What may be secret can be read from a file instead: {', '.join(_file_variables())}.",
    ]
    component = ""
    for setting in SETTINGS:
        if setting.component != component:
            component = setting.component
            lines += ["", f"# --- {component}"]
        lines += [
            f"# {setting.help}",
            f"#{setting.name}={setting.default_text}",
        ]
    return "\n".join(lines) + "\n"
