"""What runs the jobs, as the scheduler sees it: processes of its own, or a scrapyd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from pyf_scrapy.exceptions import PyfError
from pyf_scrapy.schedule.jobs import Job


class BackendError(PyfError):
    """Raised by a backend that cannot start, stop or see a run just now."""


class UnreachableError(BackendError):
    """Raised when the backend does not answer or lets nobody in: no other job would fare better."""


@dataclass(frozen=True)
class Ended:
    """A run that ended by itself, by its limit or by a signal. `exit_code` None: nobody told it."""

    name: str
    started: float
    exit_code: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Look:
    """What a backend sees. `running`: name of a job -> start of its run, epoch seconds; `waiting`: jobs whose
    run is accepted but not begun; `busy`: spiders that run or are about to, whoever started them; `ended`:
    what ended since the last look.
    """

    running: Mapping[str, float] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    ended: tuple[Ended, ...] = ()


class Backend(Protocol):
    """Starts and stops runs; raises BackendError. `outlives`: its runs go on without the scheduler."""

    outlives: ClassVar[bool]

    async def look(self) -> Look:
        """What runs, and what has ended since the last look."""

    async def start(self, job: Job, now: float) -> str:
        """Start a run; returns what to call it in the log."""

    async def stop(self, name: str, step: int) -> None:
        """Stop the run of a job as hard as `plan.stop_step` says (1 to 3); without effect if none runs."""

    async def close(self) -> None:
        """Give back what was opened."""
