"""Jobs as jobs of a scrapyd: posted, watched and cancelled through its API (version 1.6).

https://scrapyd.readthedocs.io/en/stable/api.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import httpx
import msgspec

from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.schedule.backend import BackendError, Look, UnreachableError
from pyf_scrapy.schedule.jobs import Job

PROJECT = "pyf_scrapy"

_TIMEOUT = 60.0  # seconds for a request and its answer: before its first job scrapyd lists the spiders
_LARGEST = 10_000_000  # bytes of an answer; it lists the jobs that ended, too
_ID = re.compile(r"([a-z]+)-[0-9]{1,11}")


class _Listed(msgspec.Struct, frozen=True):
    """A job as listjobs.json has it."""

    id: str
    spider: str = ""


class _Answer(msgspec.Struct, frozen=True):
    """What the endpoints that are asked have in common; lists are those of listjobs.json."""

    status: str
    message: str = ""
    pending: tuple[_Listed, ...] = ()
    running: tuple[_Listed, ...] = ()


def login(settings: Mapping[str, object]) -> tuple[str, str] | None:
    """User name and password for scrapyd. Raises UsageProblem when one of them is missing."""
    name, password = settings["SCRAPYD_USERNAME"], settings["SCRAPYD_PASSWORD"]
    if bool(name) != bool(password):
        raise UsageProblem("SCRAPYD_USERNAME and SCRAPYD_PASSWORD go together: set both or none")
    return (str(name), str(password)) if name else None


class Scrapyd:
    """Posts each job to the scrapyd at `url`. What runs there goes on when the scheduler ends.

    A job's id is its name and the second it was posted in, so that its run is known again after a restart.
    `settings` are pairs NAME=VALUE for each crawl. scrapyd does not say how a run ended: its log does.
    """

    outlives: ClassVar[bool] = True

    def __init__(
        self, url: str, auth: tuple[str, str] | None, jobs: Sequence[Job], settings: Sequence[str] = ()
    ) -> None:
        self.url = url
        self._spiders = {job.name: job.spider for job in jobs}
        self._settings = list(settings)
        self._ids: dict[str, str] = {}
        # Proxies of the environment are none of its business: the password goes to this address only.
        self._client = httpx.AsyncClient(auth=auth, timeout=_TIMEOUT, trust_env=False)

    async def look(self) -> Look:
        answer = await self._ask("GET", "listjobs.json", {"project": PROJECT})
        self._ids = self._ours(answer.running)
        return Look(
            {name: float(job_id.partition("-")[2]) for name, job_id in self._ids.items()},
            waiting=frozenset(self._ours(answer.pending)),
            busy=frozenset(listed.spider for listed in (*answer.pending, *answer.running)),
        )

    async def start(self, job: Job, now: float) -> str:
        job_id = f"{job.name}-{int(now)}"
        fields: dict[str, str | list[str]] = {"project": PROJECT, "spider": job.spider, "jobid": job_id}
        if self._settings:
            fields["setting"] = self._settings
        await self._ask("POST", "schedule.json", {**job.arguments, **fields})
        return f"job {job_id} of scrapyd"

    async def stop(self, name: str, step: int) -> None:
        if name in self._ids:
            fields = {"project": PROJECT, "job": self._ids[name]}
            await self._ask("POST", "cancel.json", fields | ({"signal": "KILL"} if step == 3 else {}))

    async def close(self) -> None:
        await self._client.aclose()

    def _ours(self, listed: Sequence[_Listed]) -> dict[str, str]:
        """The ids of our jobs among those listed."""
        found = {}
        for one in listed:
            parts = _ID.fullmatch(one.id)
            if parts is not None and self._spiders.get(parts[1]) == one.spider:
                found[parts[1]] = one.id
        return found

    async def _ask(self, method: str, endpoint: str, fields: Mapping[str, str | list[str]]) -> _Answer:
        """The answer of an endpoint. Raises BackendError, UnreachableError."""
        body = b""
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                self._client.stream(
                    method,
                    f"{self.url}/{endpoint}",
                    params=fields if method == "GET" else None,
                    data=fields if method == "POST" else None,
                ) as response,
            ):
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise self._failed(endpoint, "the answer is too large")
        except (httpx.HTTPError, TimeoutError) as error:
            raise UnreachableError(self._told(endpoint, str(error) or "no answer in time")) from error
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise UnreachableError(
                self._told(endpoint, "it wants another SCRAPYD_USERNAME and SCRAPYD_PASSWORD")
            )
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._failed(endpoint, f"status {response.status_code}, and not scrapyd's JSON") from None
        if answer.status != "ok":
            # A traceback of its own says in the last line what is wrong.
            last = answer.message.strip().rpartition("\n")[2]
            raise self._failed(endpoint, last[:300] or f"status {answer.status[:40]}")
        return answer

    def _failed(self, endpoint: str, reason: str) -> BackendError:
        return BackendError(self._told(endpoint, reason))

    def _told(self, endpoint: str, reason: str) -> str:
        return f"scrapyd at {self.url}: {endpoint}: {reason}"
