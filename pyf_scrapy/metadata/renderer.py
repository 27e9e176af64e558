"""Renders READMEs in processes of its own, each document bounded in time, memory and size.

Own code and not a pool of the standard library or of pebble: their processes are forked (and hold the
parent's locks and open files) or import the parent's main module, outlive a parent that is killed while they
compute, and share one pipe, so that killing one of them may break the others.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from pyf_scrapy.exceptions import RenderError
from pyf_scrapy.metadata import render_worker
from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.releases import Release, text_versions
from pyf_scrapy.metadata.render_cache import RenderCache

_START_TIMEOUT = 60.0  # seconds; a start takes 0.3 s of one core
_MAX_REPLY = 16 * 1024**2  # bytes; five fields at their largest take 6 MB
# All that a worker gets of the environment; no key or token does.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "SYSTEMROOT")


async def render_releases(
    renderer: Renderer, releases: Sequence[Release], *, all_texts: bool
) -> tuple[dict[str, Description], list[str]]:
    """The descriptions of the releases whose documents carry text, by version; each README is rendered once.

    A README that breaks its bounds costs its own text: the second value says which and why.
    """
    wanted = {release.version for release in releases} if all_texts else set(text_versions(releases))
    rendered: dict[tuple[str, str | None], Description] = {}
    descriptions, problems = {}, []
    for release in releases:
        source = release.metadata.description
        if release.version not in wanted or not source:
            continue
        key = (source, release.metadata.description_content_type)
        if key not in rendered:
            try:
                rendered[key] = await renderer.render(*key)
            except RenderError as error:
                rendered[key] = Description()
                problems.append(f"README of {release.version}: {error}")
        descriptions[release.version] = rendered[key]
    return descriptions, problems


class Renderer:
    """Worker processes that are started when needed and used again; `close` ends them.

    `timeout` is in seconds for each document, not counting its wait for a free worker; `max_source` in
    characters; `max_memory` in bytes of address space for each worker. What `cache` has is not rendered; the
    renderer closes it. `rendered` and `cached` count READMEs. May be used from one event loop at a time.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout: float = 10.0,
        max_source: int = 2_000_000,
        max_memory: int = 1024**3,
        cache: RenderCache | None = None,
    ) -> None:
        self.rendered = 0
        self.cached = 0
        self._cache = cache
        self._timeout = timeout
        self._max_source = max_source
        self._max_memory = max_memory
        # The threads live until `close`: the kernel ends a worker with the *thread* that started it.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="renderer")
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, cached: bool = True) -> Renderer:
        """As RENDER_WORKERS, RENDER_TIMEOUT and RENDER_CACHE_MB say; without the cache unless `cached`."""
        size = int(settings["RENDER_CACHE_MB"]) * 10**6 if cached else 0
        return cls(
            workers=int(settings["RENDER_WORKERS"]),
            timeout=float(settings["RENDER_TIMEOUT"]),
            cache=RenderCache(Path(settings["PYF_DATA_DIR"]) / "renderings.sqlite", size) if size else None,
        )

    async def render(self, source: str | None, content_type: str | None) -> Description:
        """Return `descriptions.render` of the two.

        Raises RenderError if the source is too large, or if rendering takes too long, needs too much memory,
        fails or kills its process; only that process is lost. A call that is cancelled still ends within the
        timeout.
        """
        size = len(source or "") + len(content_type or "")
        if size > self._max_source:
            raise RenderError(f"README not rendered: {size:,} characters are over {self._max_source:,}")
        self._check_open()
        # Strings of JSON may hold halves of surrogate pairs, which no encoding takes.
        job = render_worker.Job(_encodable(source), _encodable(content_type))
        if self._cache is not None and (found := await asyncio.to_thread(self._cache.get, *_content(job))):
            self.cached += 1
            return found
        description = await asyncio.get_running_loop().run_in_executor(self._threads, self._render, job)
        self.rendered += 1
        return description

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        with self._lock:
            return [worker.process.pid for worker in self._workers]

    async def close(self) -> None:
        """End all workers; documents being rendered fail with RenderError, and so do later ones."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.process.kill()
        await asyncio.to_thread(self._threads.shutdown)
        for worker in list(self._workers):
            self._discard(worker)
        if self._cache is not None:
            self._cache.close()

    def _render(self, job: render_worker.Job) -> Description:
        worker = self._take()
        try:
            reply = worker.ask(job, self._timeout)
        except RenderError:
            self._discard(worker)
            raise
        if reply.last:
            self._discard(worker)
        else:
            with self._lock:
                self._idle.append(worker)
        if reply.description is None:
            raise RenderError(f"README not rendered: {reply.error}")
        if self._cache is not None:
            self._cache.put(*_content(job), reply.description)
        return reply.description

    def _take(self) -> _Worker:
        """Return a live worker that nobody uses, a new one if there is none."""
        with self._lock:
            while not self._closed and self._idle:
                worker = self._idle.pop()
                if worker.process.poll() is None:
                    return worker
                self._workers.discard(worker)
                worker.stop()
            self._check_open()
            try:
                worker = _Worker(self._max_memory)
            except OSError as error:
                raise RenderError(f"README not rendered: no worker could be started ({error})") from None
            self._workers.add(worker)
        try:
            worker.wait_ready()
        except RenderError:
            self._discard(worker)
            raise
        return worker

    def _check_open(self) -> None:
        if self._closed:
            raise RenderError("README not rendered: the renderer is closed")

    def _discard(self, worker: _Worker) -> None:
        worker.stop()
        with self._lock:
            self._workers.discard(worker)


class _Worker:
    """One process; used by one thread at a time."""

    def __init__(self, max_memory: int) -> None:
        # The folders of this process, so that a checkout, a zipped egg and a virtualenv are found alike.
        path = os.pathsep.join(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path))
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self._timed_out = False
        self.process = subprocess.Popen(
            # -P: not the current folder, which may be anyone's.
            [sys.executable, "-P", "-m", render_worker.__name__, str(os.getpid()), str(max_memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the parent, which may want to finish what is begun.
        )

    def wait_ready(self) -> None:
        """Wait for the process to have started; raises RenderError."""
        self._exchange(None, _START_TIMEOUT, "start")

    def ask(self, job: render_worker.Job, timeout: float) -> render_worker.Reply:
        """Return the answer to a job; raises RenderError if there is none within `timeout` seconds."""
        body = self._exchange(msgspec.msgpack.encode(job), timeout, "render")
        try:
            return msgspec.msgpack.decode(body, type=render_worker.Reply)
        except msgspec.MsgspecError as error:
            raise RenderError(f"README not rendered: the worker's answer is broken ({error})") from None

    def stop(self) -> None:
        """Kill the process and leave nothing of it."""
        self.process.kill()
        self.process.communicate()

    def _exchange(self, message: bytes | None, timeout: float, task: str) -> bytes:
        # A killed process ends every read and write below, whatever state it is in.
        timer = threading.Timer(timeout, self._expire)
        timer.daemon = True
        timer.start()
        body: bytes | None = None
        try:
            if message is not None:
                render_worker.write_frame(cast(BinaryIO, self.process.stdin), message)
            body = render_worker.read_frame(cast(BinaryIO, self.process.stdout), _MAX_REPLY)
        except BrokenPipeError:
            body = None
        finally:
            timer.cancel()
            timer.join()
        if body is not None:
            return body
        if self._timed_out:
            raise RenderError(f"README not rendered: the worker did not {task} within {timeout:g} s")
        self.process.kill()
        raise RenderError(f"README not rendered: the worker died (exit code {self.process.wait()})")

    def _expire(self) -> None:
        self._timed_out = True
        self.process.kill()


def _content(job: render_worker.Job) -> tuple[str, str]:
    """What its rendering follows from: to `descriptions.render` none is the same as an empty one."""
    return job.source or "", job.content_type or ""


def _encodable(text: str | None) -> str | None:
    return text if text is None else text.encode("utf-8", "replace").decode()
