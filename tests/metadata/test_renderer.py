"""Whatever a README does to the process that renders it, the crawl goes on and nothing is left running."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pyf_scrapy.exceptions import RenderError
from pyf_scrapy.metadata import render_worker
from pyf_scrapy.metadata.descriptions import Description, render
from pyf_scrapy.metadata.renderer import Renderer

ROOT = Path(__file__).parents[2]
MARKDOWN = "text/markdown"
# The sanitiser's time grows with the square of it: these 800 kB take it 10 s.
BOMB = "&" * 800_000


def alive(pid: int) -> bool:
    """Whether a process runs (one that nobody has buried yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(pids: list[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        assert time.monotonic() < end, "a worker outlived what it works for"
        await asyncio.sleep(0.02)


async def busy_pid(renderer: Renderer) -> int:
    """Wait until the renderer's only worker computes, and return its process id."""
    while not renderer.pids or not alive(renderer.pids[0]):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.8)
    return renderer.pids[0]


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer(workers=1, timeout=3.0)
    yield made
    pids = made.pids
    await made.close()
    assert not any(map(alive, pids))


async def test_it_renders_as_the_function_does(renderer: Renderer) -> None:
    for source, content_type in [("# A *b*\n\nc", MARKDOWN), ("A\n=\n\nb", None), ("x\ud800y", "text/plain")]:
        expected = render((source or "").replace("\ud800", "?"), content_type)
        assert await renderer.render(source, content_type) == expected
    assert await renderer.render(None, None) == Description()


async def test_processes_are_started_when_needed_and_used_again() -> None:
    renderer = Renderer(workers=2)
    assert renderer.pids == []
    await renderer.render("a", MARKDOWN)
    first = renderer.pids
    assert len(first) == 1
    for _ in range(5):
        await renderer.render("a", MARKDOWN)
    assert renderer.pids == first
    await asyncio.gather(*(renderer.render(f"{number}", MARKDOWN) for number in range(20)))
    assert len(renderer.pids) == 2
    await renderer.close()
    assert renderer.pids == []


async def test_what_takes_too_long_costs_itself_alone(renderer: Renderer) -> None:
    await renderer.render("a", MARKDOWN)
    start = time.monotonic()
    with pytest.raises(RenderError, match="did not render within 3 s"):
        await renderer.render(BOMB, MARKDOWN)
    assert time.monotonic() - start < 30, "the document would take minutes"
    assert (await renderer.render("a", MARKDOWN)).html == "<p>a</p>"


async def test_ten_megabytes_are_refused_at_once(renderer: Renderer) -> None:
    start = time.monotonic()
    with pytest.raises(RenderError, match="10,000,000 characters are over 2,000,000"):
        await renderer.render("x" * 10_000_000, None)
    with pytest.raises(RenderError, match="are over"):
        await renderer.render("x", "text/" + "x" * 10_000_000)
    assert time.monotonic() - start < 30
    assert renderer.pids == []


async def test_nested_lists_cost_at_most_their_own_markup(renderer: Renderer) -> None:
    source = "".join("  " * depth + "- item\n\n" for depth in range(200))
    assert "item" in (await renderer.render(source, "text/x-rst")).first_chapter


async def test_memory_is_bounded() -> None:
    renderer = Renderer(workers=1, max_memory=300 * 1024**2)
    with pytest.raises(RenderError, match=r"worker died|MemoryError"):
        await renderer.render("*a* " * 450_000, MARKDOWN)
    assert (await renderer.render("a", MARKDOWN)).html == "<p>a</p>"
    await renderer.close()


async def test_a_worker_killed_at_work_costs_one_document() -> None:
    slow = Renderer(workers=1, timeout=30)
    rendering = asyncio.ensure_future(slow.render(BOMB, MARKDOWN))
    os.kill(await busy_pid(slow), signal.SIGKILL)
    with pytest.raises(RenderError, match=r"the worker died \(exit code -9\)"):
        await rendering
    assert (await slow.render("a", MARKDOWN)).html == "<p>a</p>"
    await slow.close()


async def test_a_worker_killed_while_idle_costs_nothing(renderer: Renderer) -> None:
    await renderer.render("a", MARKDOWN)
    [pid] = renderer.pids
    os.kill(pid, signal.SIGKILL)
    await until_gone([pid], 2)
    await asyncio.sleep(0.2)  # A process that ends is a zombie a moment before its parent can see it.
    assert (await renderer.render("b", MARKDOWN)).html == "<p>b</p>"
    assert renderer.pids != [pid]


async def test_a_stopped_worker_is_replaced(renderer: Renderer) -> None:
    await renderer.render("a", MARKDOWN)
    os.kill(renderer.pids[0], signal.SIGSTOP)
    with pytest.raises(RenderError, match="within 3 s"):
        await renderer.render("x" * 1_000_000, MARKDOWN)
    assert (await renderer.render("b", MARKDOWN)).html == "<p>b</p>"


async def test_close_ends_what_is_being_rendered_and_refuses_more() -> None:
    renderer = Renderer(workers=1, timeout=30)
    rendering = asyncio.ensure_future(renderer.render(BOMB, MARKDOWN))
    waiting = asyncio.ensure_future(renderer.render("a", MARKDOWN))
    pid = await busy_pid(renderer)
    await renderer.close()
    await until_gone([pid], 0.5)
    for call in (rendering, waiting):
        with pytest.raises(RenderError):
            await call
    with pytest.raises(RenderError, match="closed"):
        await renderer.render("a", MARKDOWN)
    await renderer.close()


async def test_two_renderers_do_not_meet() -> None:
    one, two = Renderer(workers=1, timeout=30), Renderer(workers=1, timeout=30)
    await asyncio.gather(one.render("a", MARKDOWN), two.render("a", MARKDOWN))
    await one.close()
    assert (await two.render("b", MARKDOWN)).html == "<p>b</p>"
    await two.close()


async def test_a_cancelled_call_leaves_a_usable_renderer(renderer: Renderer) -> None:
    await renderer.render("a", MARKDOWN)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(renderer.render(BOMB, MARKDOWN), 0.1)
    assert (await renderer.render("b", MARKDOWN)).html == "<p>b</p>"


async def test_a_worker_that_cannot_start_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    renderer = Renderer(workers=1)
    with pytest.raises(RenderError, match="exit code 3"):
        await renderer.render("a", MARKDOWN)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(RenderError, match="missing"):
        await renderer.render("a", MARKDOWN)
    assert renderer.pids == []
    await renderer.close()


async def test_an_answer_that_is_nonsense_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nprintf '\\0\\0\\0\\0'\nprintf '\\0\\0\\0\\1x'\ncat >/dev/null\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    renderer = Renderer(workers=1)
    with pytest.raises(RenderError, match="answer is broken"):
        await renderer.render("a", MARKDOWN)
    program.write_text("#!/bin/sh\nprintf '\\0\\0\\0\\0'\nprintf '\\377\\0\\0\\1x'\ncat >/dev/null\n")
    with pytest.raises(RenderError, match="worker died"):
        await renderer.render("a", MARKDOWN)
    await renderer.close()


async def test_workers_get_no_secret_no_file_and_no_terminal(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TYPESENSE_API_KEY", "s3cr3t")
    lock = tmp_path / "lock"
    with lock.open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        await renderer.render("a", MARKDOWN)
    [pid] = renderer.pids
    assert b"s3cr3t" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert lock not in [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    assert os.getsid(pid) == pid


PROGRAM = """
import asyncio, sys
from pyf_scrapy.metadata.renderer import Renderer

async def main():
    renderer = Renderer(workers=2, timeout=60)
    await asyncio.gather(renderer.render("a", None), renderer.render("b", None))
    busy = asyncio.ensure_future(renderer.render("&" * 1_900_000, "text/markdown"))
    await asyncio.sleep(0.5)
    print(*renderer.pids, flush=True)
    await busy

asyncio.run(main())
"""


async def test_workers_die_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in (await asyncio.to_thread(parent.stdout.readline)).split()]
        assert len(pids) == 2
        assert all(map(alive, pids))
        parent.kill()
    await until_gone(pids, 2)


async def test_it_works_from_a_zipped_egg(tmp_path: Path) -> None:
    egg = tmp_path / "project.egg"
    with zipfile.ZipFile(egg, "w") as archive:
        for file in sorted((ROOT / "pyf_scrapy").glob("**/*.py")):
            archive.write(file, file.relative_to(ROOT))
    program = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pyf_scrapy.metadata import renderer\n"
        "async def main():\n"
        "    made = renderer.Renderer()\n"
        "    print(renderer.__file__, (await made.render('a *b*', None)).html)\n"
        "    await made.close()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-P", "-c", program, str(egg)]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.startswith(str(egg))
    assert done.stdout.endswith("<p>a <em>b</em></p>\n")


def test_a_worker_loads_no_part_of_the_crawler() -> None:
    program = (
        "import sys, pyf_scrapy.metadata.render_worker as worker\n"
        "worker.render('a', None)\n"
        "print([name for name in ('scrapy', 'twisted', 'sqlalchemy', 'typesense') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"


def frames(*bodies: bytes) -> io.BytesIO:
    stream = io.BytesIO()
    for body in bodies:
        render_worker.write_frame(stream, body)
    stream.seek(0)
    return stream


def job(source: str) -> bytes:
    return msgspec.msgpack.encode(render_worker.Job(source, MARKDOWN))


def serve(*jobs: bytes, worn_at: float = float("inf")) -> list[render_worker.Reply]:
    out = io.BytesIO()
    render_worker.serve(frames(*jobs), out, worn_at=worn_at)
    out.seek(0)
    replies = []
    while (body := render_worker.read_frame(out)) is not None:
        replies.append(msgspec.msgpack.decode(body, type=render_worker.Reply))
    return replies


def test_a_worker_ends_with_its_input() -> None:
    replies = serve(job("a"), job("b"))
    assert [reply.description.html for reply in replies if reply.description] == ["<p>a</p>", "<p>b</p>"]
    assert not any(reply.last for reply in replies)


def test_a_worn_worker_says_that_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [reply.last for reply in serve(job("a"), job("b"), worn_at=1)] == [True]
    monkeypatch.setattr(render_worker, "MAX_DOCUMENTS", 2)
    assert [reply.last for reply in serve(job("a"), job("b"), job("c"))] == [False, True]


def test_a_worker_that_failed_names_the_failure_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str | None, content_type: str | None) -> Description:
        raise RecursionError("too deep\nmore")

    monkeypatch.setattr(render_worker, "render", fail)
    assert serve(job("a"), job("b")) == [render_worker.Reply(None, "RecursionError: too deep", last=True)]


def test_a_frame_that_is_cut_or_too_large_is_none() -> None:
    assert render_worker.read_frame(io.BytesIO(b"")) is None
    assert render_worker.read_frame(io.BytesIO(b"\0\0")) is None
    assert render_worker.read_frame(io.BytesIO(b"\0\0\0\5four")) is None
    assert render_worker.read_frame(frames(b"12345"), 4) is None
    assert render_worker.read_frame(frames(b"1234"), 4) == b"1234"


def test_a_worker_whose_parent_is_gone_already_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", render_worker.__name__, "1", str(1024**3)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1


async def test_a_large_parent_does_not_wear_its_workers_out() -> None:
    """On Linux the peak of a process passes to those it starts: each would be replaced after one document."""
    parent_was_large = b"x" * (500 * 2**20)
    renderer = Renderer(workers=1)
    try:
        await renderer.render("a", MARKDOWN)
        first = renderer.pids
        await renderer.render("b", MARKDOWN)
        assert renderer.pids == first != []
    finally:
        await renderer.close()
    del parent_was_large
