"""`scrapy schedule`: the periodic work, by itself, as lines for cron, or posted to a scrapyd."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from scrapy.spiderloader import get_spider_loader
from scrapy.utils.log import configure_logging, get_scrapy_root_handler

from pyf_scrapy.command import PyfCommand
from pyf_scrapy.commands.output import (
    ExitCode,
    clean,
    complain,
    print_json,
    print_summary,
    print_table,
    print_text,
)
from pyf_scrapy.environment import (
    ENV_FILE_VARIABLE,
    find_env_file,
    obsolete,
    project_folder,
    read_env_file,
    renamed,
    variables,
)
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.search.collections import check_alias
from pyf_scrapy.setting_types import Setting
from pyf_scrapy.settings_table import SETTINGS
from pyf_scrapy.spiders.store_spider import StoreSpider

if TYPE_CHECKING:
    from pyf_scrapy.schedule.jobs import Job
    from pyf_scrapy.schedule.plan import Record
    from pyf_scrapy.schedule.state import State


class Command(PyfCommand):
    default_settings: ClassVar[dict[str, Any]] = {"LOG_ENABLED": True}
    takes_profile = True
    takes_collection = True

    def syntax(self) -> str:
        return "[-p PROFILE [-c COLLECTION]] [--scrapyd URL | --print-crontab | --list [--json]]"

    def short_desc(self) -> str:
        return "Run the periodic work at its times (SCHEDULE_*) until it is interrupted"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--scrapyd", metavar="URL", help="post the jobs to this scrapyd instead of running them here"
        )
        what.add_argument(
            "--print-crontab", action="store_true", help="print lines for cron that do the same"
        )
        what.add_argument(
            "--list", action="store_true", dest="listed", help="show the jobs, when they ran and run next"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        # Imported here: Scrapy imports this module before each command.
        from pyf_scrapy.schedule.jobs import planned
        from pyf_scrapy.schedule.state import State

        if opts.json and not opts.listed:
            raise UsageProblem("--json goes with --list only")
        _refuse_secrets(opts.set)
        settings, now = self._settings(), time.time()
        jobs = planned(settings, self._targets(opts), now)
        state = State(Path(settings["PYF_DATA_DIR"]))
        if opts.listed:
            _print_list(jobs, state, settings["SCHEDULE_TIMEZONE"], now, as_json=opts.json)
            return ExitCode.OK
        self._check(jobs)
        if opts.print_crontab:
            self._print_crontab(jobs, opts, settings["SCHEDULE_TIMEZONE"], now)
            return ExitCode.OK
        for note in _notes():
            complain(self.name, f"note: {note}")
        asyncio.run(self._schedule(jobs, state, opts, settings))
        return ExitCode.OK

    def _settings(self) -> dict[str, Any]:
        """Ours by name; what `-s` set is converted and checked, too. Raises UsageProblem."""
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            value = self.project_settings.get(setting.name)
            values[setting.name] = setting.read(value, Path.cwd()) if isinstance(value, str) else value
        return values

    def _targets(self, opts: argparse.Namespace) -> dict[str, str]:
        """The arguments that say which profiles the jobs are for. Raises UsageProblem."""
        if opts.collection is not None:
            check_alias(opts.collection)
        spec = opts.package_profile or self.project_settings.get("DEFAULT_PROFILE")
        if not spec and opts.listed:
            return {}
        self.selected_profiles(opts)
        return {"profile": spec} | ({} if opts.collection is None else {"collection": opts.collection})

    def _check(self, jobs: Sequence[Job]) -> None:
        """Raise UsageProblem for what would make every run of a job end at once."""
        if all(job.is_off for job in jobs):
            raise UsageProblem("nothing to do: all of SCHEDULE_* are empty")
        loader = get_spider_loader(self.project_settings)
        for job in jobs:
            spider = loader.load(job.spider)
            assert issubclass(spider, StoreSpider), "all spiders of the project are"
            spider.check_arguments(job.arguments, self.project_settings)

    def _print_crontab(
        self, jobs: Sequence[Job], opts: argparse.Namespace, zone_name: str, now: float
    ) -> None:
        from pyf_scrapy.schedule.cron_lines import crontab

        script = Path(sys.executable).with_name("scrapy")
        program = [str(script)] if script.is_file() else [sys.executable, "-m", "scrapy"]
        options = ["-L", opts.loglevel or "WARNING", *_repeated(opts.set)]
        env_file = find_env_file(os.environ)
        written = read_env_file(env_file) if env_file is not None else {}
        known = variables() | {ENV_FILE_VARIABLE}
        unseen = {n for n in known if n in os.environ and os.environ[n] != written.get(n)}
        text = crontab(
            jobs,
            lambda job: [*program, *job.crawl, *options],
            project_folder() or Path.cwd(),
            zone_name=zone_name,
            now=now,
            unseen=unseen,
        )
        print_text(text.rstrip("\n"))

    async def _schedule(
        self, jobs: Sequence[Job], state: State, opts: argparse.Namespace, settings: dict[str, Any]
    ) -> None:
        from pyf_scrapy.schedule.backend import Backend
        from pyf_scrapy.schedule.processes import LOG_FORMAT, Processes
        from pyf_scrapy.schedule.scheduler import Scheduler
        from pyf_scrapy.schedule.scrapyd import Scrapyd, login

        woken = asyncio.Event()
        backend: Backend
        if opts.scrapyd is not None:
            backend = Scrapyd(_scrapyd_url(opts.scrapyd), login(settings), jobs, opts.set)
        else:
            options = [*_log_level(opts), *_repeated(opts.set), "--json", "-s", f"LOG_FORMAT={LOG_FORMAT}"]
            backend = Processes(
                lambda job: [sys.executable, "-m", "scrapy", *job.crawl, *options],
                Path.cwd(),
                os.environ,
                woken.set,
            )
        scheduler = Scheduler(jobs, state, backend, parallel=settings["SCHEDULE_PARALLEL"], woken=woken)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, scheduler.stop)
        self._log()
        await scheduler.run()

    def _log(self) -> None:
        """Log as Scrapy does, without control characters: what crawls say comes from strangers."""
        configure_logging(self.project_settings.copy_to_dict())
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request
        if (handler := get_scrapy_root_handler()) is not None:
            handler.addFilter(cleaned)


def cleaned(record: logging.LogRecord) -> bool:
    """A filter that makes the message of a record one line without control characters.

    A package's name or summary must not look like another line of the log.
    """
    text = record.getMessage()
    record.msg, record.args = text[: len(text) - len(text.lstrip(" "))] + clean(text), None
    return True


def _refuse_secrets(pairs: Sequence[str]) -> None:
    """Raise UsageProblem for a pair NAME=VALUE whose value may be secret, without showing it.

    They end up on the command lines of crawls, in crontabs and with scrapyd.
    """
    files = {setting.name: setting.file for setting in SETTINGS}
    for pair in pairs:
        name, _, value = pair.partition("=")
        file = files.get(name)
        if file is not None or ("://" in value and "@" in value):
            raise UsageProblem(
                f"-s {name}: what may be a secret would stand on command lines, which everybody on this "
                "machine sees; put it into .env"
                + (f", or into a file that {file.name} names" if file else "")
            )


def _repeated(pairs: Sequence[str]) -> list[str]:
    """The options that set the same settings."""
    return [word for pair in pairs for word in ("-s", pair)]


def _log_level(opts: argparse.Namespace) -> list[str]:
    """The option that says what the crawls log: warnings, unless another level was asked for."""
    if opts.loglevel == "INFO" or any(pair.startswith("LOG_LEVEL=") for pair in opts.set):
        return []  # INFO is what a crawl logs by itself; asked for, it comes with Scrapy's own 80 lines
    return ["-L", opts.loglevel or "WARNING"]


def _scrapyd_url(text: str) -> str:
    """Raises UsageProblem, which never shows what may be a password."""
    if "@" in text:
        raise UsageProblem(
            "--scrapyd: a password in a URL is shown to everybody on this machine; set SCRAPYD_USERNAME and "
            "SCRAPYD_PASSWORD in .env"
        )
    if not text.strip():
        raise UsageProblem("--scrapyd needs the URL of a scrapyd, such as http://127.0.0.1:6800")
    return str(Setting("--scrapyd", "http://127.0.0.1:6800", "url", "", "").read(text, Path()))


def _notes() -> list[str]:
    """What of the environment and `.env` is read under another name, or not at all."""
    env_file = find_env_file(os.environ)
    written = read_env_file(env_file) if env_file is not None else {}
    notes = [f"{env_file.name}: {hint}" for hint in obsolete(written)] if env_file is not None else []
    return notes + renamed({**written, **os.environ})


def _print_list(jobs: Sequence[Job], state: State, zone_name: str, now: float, *, as_json: bool) -> None:
    from pyf_scrapy.schedule.plan import Record

    records, is_running = state.read(), state.is_taken
    rows = [_row(job, records.get(job.name, Record(since=now)), now, alive=is_running) for job in jobs]
    if as_json:
        print_json({"folder": state.path.parent, "timezone": zone_name, "running": is_running, "jobs": rows})
        return
    zone = jobs[0].zone

    def shown(moment: int | None) -> str:
        return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}" if moment is not None else ""

    print_summary({"schedule": "runs" if is_running else "does not run", "data": state.path.parent})
    print_text()
    print_table(
        ("job", "when", f"next ({zone_name})", "last", "result", "limit", "scrapy ..."),
        (
            (
                row["job"],
                row["when"],
                "now" if row["running_since"] else shown(row["next"]),
                shown(row["running_since"] or row["started"]),
                _result(row),
                str(timedelta(seconds=row["limit"])) if row["limit"] else "none",
                row["command"],
            )
            for row in rows
        ),
    )


def _row(job: Job, record: Record, now: float, *, alive: bool) -> dict[str, Any]:
    """A job for people and scripts; moments are epoch seconds."""
    from pyf_scrapy.schedule.plan import due_at

    def second(moment: float | None) -> int | None:
        return None if moment is None else int(moment)

    return {
        "job": job.name,
        "when": job.when,
        "next": None if job.is_off else second(max(due_at(job, record), now)),
        "running_since": second(record.running_since) if alive else None,
        "started": second(record.started),
        "ended": second(record.ended),
        "exit_code": record.exit_code,
        "message": record.message,
        "limit": int(job.limit),
        "command": " ".join(job.crawl),
    }


def _result(row: dict[str, Any]) -> str:
    if row["running_since"]:
        return "runs"
    if row["started"] is None or row["ended"] is None:
        return ""
    took = timedelta(seconds=row["ended"] - row["started"])
    return f"{took}: {'ended' if row['exit_code'] is None else row['exit_code']}"
