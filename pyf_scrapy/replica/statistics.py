"""What a replica was asked and what it answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

_MOST_AGENTS = 100


class Statistics:
    """Counters since the start or the last reset."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """By kind: index, index-html, simple, simple-html, project, release, feed, other; services.KINDS."""
        self.statuses: Counter[int] = Counter()
        self.paths: Counter[str] = Counter()
        self.user_agents: Counter[str] = Counter()
        self.unnormalized = 0
        """Requests that a redirect sent to another spelling of the name or the path."""
        self.bytes = 0
        self.running = 0
        self.most_running = 0

    def begin(self, path: str, user_agent: str) -> None:
        """Counts a request that came in."""
        self.paths[path] += 1
        if user_agent in self.user_agents or len(self.user_agents) < _MOST_AGENTS:
            self.user_agents[user_agent] += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)

    def end(self, kind: str, status: int, sent: int) -> None:
        """Counts its answer; status 0 = the connection was closed without one."""
        self.running -= 1
        self.requests[kind] += 1
        self.statuses[status] += 1
        self.bytes += sent
        if status == 301 and not kind.startswith("github"):  # there it tells of a renaming
            self.unnormalized += 1

    def report(self, *, paths: bool) -> dict[str, Any]:
        """All counters as JSON values; `paths` is large after a crawl."""
        report: dict[str, Any] = {
            "requests": dict(self.requests),
            "total": sum(self.requests.values()),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "distinct_paths": len(self.paths),
            "unnormalized": self.unnormalized,
            "bytes": self.bytes,
            "most_concurrent": self.most_running,
            "user_agents": dict(self.user_agents),
        }
        if paths:
            report["paths"] = dict(self.paths)
        return report
