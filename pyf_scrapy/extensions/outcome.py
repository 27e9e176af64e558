"""What a crawl came to: figures for its summary, one line for a person, an exit code for a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyf_scrapy.exceptions import AlreadyRunningError, PyfError
from pyf_scrapy.metadata.repositories import PROBLEMS
from pyf_scrapy.middlewares.host_counts import HOSTS, STATUSES

#: Figure of the summary -> Scrapy stat that counts it.
FIGURES = {
    "listed": "pyf/projects/listed",
    "skipped": "pyf/index/skipped",
    "to_check": "pyf/projects/to_check",
    "queued": "pyf/projects/queued",
    "fetched": "pyf/projects/fetched",
    "no_match": "pyf/classifiers/dropped",
    "empty": "pyf/projects/empty",
    "stale": "pyf/projects/stale",
    "way_round": "pyf/projects/round",
    "unchanged": "pyf/projects/unchanged",
    "gone": "pyf/projects/gone",
    "vanished": "pyf/packages/vanished",
    "removed": "pyf/packages/removed",
    "index_refused": "pyf/index/refused",
    "feeds_read": "pyf/feeds/polls",
    "feeds_overrun": "pyf/feeds/overrun",
    "feeds_handed_over": "pyf/feeds/handed_over",
    "feeds_given_up": "pyf/feeds/given_up",
    "copied": "pyf/replication/projects",
    "events_copied": "pyf/replication/events",
    "passed_on": "pyf/packages/passed_on",
    "releases_fetched": "pyf/releases/fetched",
    "releases_partial": "pyf/releases/partial",
    "repositories_fetched": "pyf/repositories/fetched",
    "repositories_unchanged": "pyf/repositories/unchanged",
    "repositories_renamed": "pyf/repositories/renamed",
    "contributors": "pyf/repositories/contributors",
    "provenance_asked": "pyf/provenance/asked",
    **{f"problem_{reason}": f"pyf/repositories/{reason}" for reason in PROBLEMS},
    "downloads_answered": "pyf/downloads/answered",
    "downloads_unknown": "pyf/downloads/unknown",
    "packages_indexed": "pyf/packages/indexed",
    "documents_sent": "pyf/typesense/documents",
    "documents_unchanged": "pyf/duplicates/unchanged",
    "documents_deleted": "pyf/typesense/deleted",
    "documents_rejected": "pyf/typesense/rejected",
    "readmes_failed": "pyf/descriptions/failed",
    "failed": "pyf/packages/failed",
    "waiting": "pyf/packages/waiting",
    "errors": "log_count/ERROR",
}

#: Figures of which one at least is not 0 when there was something to do; `to_check` alone may have come to
#: nothing but repositories that are gone.
WORK = (
    *("fetched", "passed_on", "to_check", "provenance_asked", "contributors", "copied", "events_copied"),
    "feeds_handed_over",
)


@dataclass(frozen=True)
class Outcome:
    """`exit_code`: 0 done, 1 a source or service failed or documents were rejected, 2 bad input, 3 done but
    some packages failed, 75 already running. `reason` is Scrapy's finish reason. `hosts`: what was asked of
    each and what it sent (requests, answers, bytes, not_modified), `statuses`: its answers by their status.
    `postponed`: a service allows no more."""

    exit_code: int
    reason: str
    figures: dict[str, int]
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    statuses: dict[str, dict[str, int]] = field(default_factory=dict)
    postponed: bool = False

    @property
    def headline(self) -> str:
        """One line: what happened, and what to do if anything is to do."""
        if self.reason == "shutdown":
            return "Interrupted; the same command goes on from here."
        if self.reason.startswith("closespider_"):
            return "Stopped by a limit that was set; the same command goes on from here."
        if self.exit_code == AlreadyRunningError.exit_code:
            return "Not started: this spider is already running on this store."
        if self.exit_code == 0:
            if self.postponed:
                return "Done as far as the service allows for now: later runs go on from here."
            if self.figures["index_refused"]:
                return "Done with the last index: PyPI's answer was older, see the warning above."
            if self.figures["feeds_overrun"]:
                return "Done, but the feeds showed too little: run `scrapy crawl pypi` for the rest."
            if not any(self.figures[name] for name in WORK):
                if self.figures["feeds_read"]:
                    return "Nothing to do: the feeds name nothing new."
                return "Nothing to do: everything is up to date."
            return "Done."
        if self.exit_code == 3:
            return "Done, but some packages failed: see `scrapy status`; the next run tries again."
        if self.figures["documents_rejected"]:
            return "Typesense rejected documents: `scrapy status` names them."
        return "Not done: see the error above. Nothing stored is lost."


def outcome(stats: Mapping[str, Any], reason: str, problem: PyfError | None) -> Outcome:
    """Judge a crawl by its stats, its finish reason and the error that ended it, if any."""
    figures = {name: int(stats.get(key) or 0) for name, key in FIGURES.items()}
    exit_code = _exit_code(figures, stats, reason, problem)
    postponed = bool(stats.get("pyf/repositories/postponed"))
    return Outcome(exit_code, reason, figures, *_hosts(stats), postponed)


def _hosts(stats: Mapping[str, Any]) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, int]]]:
    """The figures of HostCounts by host, and its answers by host and status."""
    hosts: dict[str, dict[str, int]] = {}
    statuses: dict[str, dict[str, int]] = {}
    for key, value in sorted(stats.items()):
        if key.startswith(HOSTS):
            host, _, figure = key.removeprefix(HOSTS).partition("/")
            into = statuses if figure.startswith(STATUSES) else hosts
            into.setdefault(host, {})[figure.removeprefix(STATUSES)] = int(value)
    return hosts, statuses


def _exit_code(
    figures: Mapping[str, int], stats: Mapping[str, Any], reason: str, problem: PyfError | None
) -> int:
    if problem is not None:
        return problem.exit_code
    if reason != "finished" or figures["documents_rejected"]:
        return 1
    if stats.get("spider_exceptions/count"):
        return 1
    left = stats.get("pyf/packages/unsettled")
    return 3 if figures["failed"] or figures["readmes_failed"] or left else 0
