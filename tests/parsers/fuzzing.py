"""A seeded fuzzer of everything that reads what strangers wrote.

An input is made from the seed and its number alone (and from the corpus), so it can be made again. It is a
finding when a reader raises anything but its documented error, when what it returns breaks a promise, when
it takes more than `MAX_SECONDS` of processor time or `MAX_GROWTH` of memory, or opens a connection.
Findings are written to files; `python -m tests.parsers.fuzzing READER FILE` reads one again.
"""

from __future__ import annotations

import gzip
import json
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final, NoReturn

import msgspec

from tests.parsers.mutations import Corpus, mutate
from tests.parsers.promises import READERS, Reader

MAX_SECONDS: Final = 5.0
MAX_GROWTH: Final = 400_000_000  # bytes
_HEARTBEAT: Final = 60.0
_MOST_FINDINGS: Final = 20

_CHECKOUT: Final = Path(__file__).parents[2]
_DATA: Final = Path(__file__).parent / "data"


# --- what is damaged

_TEXTS: Final[Mapping[str, Sequence[bytes]]] = {
    "requirements": (
        b"kelp\nkelp.moor==1.0 # why\nextras[one,two]>=2,<3 ; python_version >= '3.11'\n-r more.txt\n",
        b"hashed==1.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\nnamed @ https://example.org/x.whl\n",
        b"-c constraints.txt\n-e ./local\n./also-local\ngit+https://example.org/repo.git\nkelp~=1.4\n--pre\nlast",
    ),
    "profiles": (
        b'profiles:\n  kelp:\n    name: K\n    classifiers: ["Framework :: K"]\n    include: ["[b-d]?"]\n',
        b'profiles: {a: {name: "A", classifiers: ["*"], hints: &h [x, y]}, b: {name: B, include: *h}}\n',
    ),
    "packed": (
        gzip.compress(b"kelp " * 100, mtime=0),
        gzip.compress(b"", mtime=0) + gzip.compress(b"moor", mtime=0) + b"\0" * 7,
        gzip.compress(b"kelp" * 3000, mtime=0),
    ),
    "env": (
        b"DEFAULT_PROFILE=plone # as in the seeds\nexport PYF_DATA_DIR='data'\nPYPI_URL=\"http://x.example/\"\n",
        b"PYPI_MAX_RPS=5\nSTALE_PATIENCE=1e2\nDATABASE_URL=postgresql://u:p@h/d\nREDIS_HOST=h:1\n\nDESCRIPTIONS=all\n",
    ),
    "retry_after": (
        b"120",
        b"Sun, 22 Nov 2026 10:00:00 GMT",
        b"Sunday, 22-Nov-26 10:00:00 GMT",
        b"22 Nov 2026",
    ),
    "package_names": (b"kelp\nkelp-moor\na\n0\nkelp-2", b"kelp-org\nkelp" * 300, b"x" * 255),
    "versions": (
        b"1.0\n1.0.0\nv1.0\n2.0a1\n2.0rc1.post2.dev3\n1!3.0+kelp.7\n2004d\n1.0-alpha\n0.0.0.0\n1.0.dev0",
        b"20260101\n1.0-SNAPSHOT\n1.0 beta\nunknown\n1_0\n1.0.post\n1-1\n" + b"9" * 300,
    ),
    "filenames": (
        b"kelp\n1.0 1.0.post2\nkelp-1.0.tar.gz\nkelp-1.0-py3-none-any.whl\nkelp-1.0.post2-py3.8.egg",
    ),
    "feed": (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>Updates</title>'
        b"<link>https://pypi.org/</link><item><title>kelp 1.0</title><link>https://pypi.org/project/kelp/1.0/"
        b"</link><description>x</description><author>a@example.org</author>"
        b"<pubDate>Sun, 22 Nov 2026 10:00:00 GMT</pubDate></item><item><title>kelp-moor added to PyPI</title>"
        b"<link>https://pypi.org/project/kelp-moor/</link><guid>https://pypi.org/project/kelp-moor/</guid>"
        b"<pubDate>Sun, 22 Nov 2026 11:00:00 GMT</pubDate></item></channel></rss>",
    ),
}
_OF_CHECKOUT: Final = {
    "requirements": ("requirements.txt", "requirements-test.txt", "constraints.txt"),
    "profiles": ("profiles.yaml",),
    "env": ("example.env",),
}


def own_corpus() -> Corpus:
    """Documents that every checkout has."""
    found: dict[str, list[bytes]] = {kind: list(texts) for kind, texts in _TEXTS.items()}
    for kind, names in _OF_CHECKOUT.items():
        found[kind] += [(_CHECKOUT / name).read_bytes() for name in names]
    for path in sorted(_DATA.rglob("input.*")):
        kind = "feed" if path.suffix == ".xml" else path.parent.parent.name
        found.setdefault(kind, []).append(path.read_bytes())
    return _completed(found)


def recorded_corpus(folder: Path) -> Corpus:
    """Those and PyPI's recorded answers in `folder`, but for the largest."""
    found = {kind: list(documents) for kind, documents in own_corpus().items()}
    paths = sorted((folder / "pypi_json").rglob("*.json"))
    with gzip.open(folder / "pypi_json" / "_corpus_latest.jsonl.gz") as lines:
        bodies = [*(path.read_bytes() for path in paths), *(_document(line) for line in lines)]
    found["project_json"] += (body for body in bodies if len(body) < 100_000)
    for path in sorted((folder / "pypi_simple").glob("*.json")):
        if path.stat().st_size < 200_000:
            found["simple_index" if "root" in path.name else "simple_page"].append(path.read_bytes())
    found["feed"] += (path.read_bytes() for path in sorted((folder / "rss").glob("*.xml")))
    return _completed(found)


def _document(line: bytes) -> bytes:
    return bytes(msgspec.json.decode(line, type=dict[str, msgspec.Raw])["doc"])


def _completed(found: dict[str, list[bytes]]) -> Corpus:
    found["release_json"] = [*found["release_json"], *found["project_json"]]
    listed = [text for page in found["simple_page"] if (text := _listing(page))]
    found["filenames"] += (name + b"\n" + versions + b"\n" + files for name, versions, files in listed)
    found["versions"] += (versions.replace(b" ", b"\n") for _, versions, _ in listed if versions)
    return {
        kind: sorted(set(documents), key=lambda one: (len(one), one)) for kind, documents in found.items()
    }


def _listing(page: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Name, versions and file names of a Simple page as lines of text; None when it is not one."""
    try:
        document = json.loads(page)
        files = (str(file["filename"]) for file in document["files"][:60])
        texts = (document["name"], " ".join(document.get("versions", ())[:200]), "\n".join(files))
        return texts[0].encode(), texts[1].encode(), texts[2].encode()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


# --- one input


class Broken(BaseException):
    """An input took too long or too much. No reader's `except Exception` may swallow it."""


@dataclass(frozen=True)
class Finding:
    """What went wrong with an input. `where` is the innermost line of the package (or of a promise)."""

    reader: str
    what: str
    where: str
    text: str

    @property
    def signature(self) -> tuple[str, str, str]:
        """Findings that share it are one."""
        return self.reader, self.what.partition(":")[0], self.where


def try_input(reader: Reader, body: bytes, scratch: Path) -> tuple[Finding | None, bool, float]:
    """Read `body`. Returns what went wrong, whether it was accepted, and seconds of processor time."""
    memory = most_memory()
    start = time.process_time()
    accepted = False
    finding = None
    try:
        with _time_limit(), _no_network():
            accepted = reader.read(body, scratch)
        if (grown := most_memory() - memory) > MAX_GROWTH:
            raise Broken(f"took {grown / 1e6:,.0f} MB for {len(body):,} bytes")
    except (Exception, Broken) as error:
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        finding = Finding(reader.name, what[:300], _where(error), traceback.format_exc())
    return finding, accepted, time.process_time() - start


@contextmanager
def _time_limit() -> Iterator[None]:
    """Processor time, so that a busy machine finds nothing."""
    armed = True

    def expired(_signal: int, _frame: FrameType | None) -> None:
        if armed:
            raise Broken(f"took more than {MAX_SECONDS:g} s")

    before = signal.signal(signal.SIGPROF, expired)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _no_network() -> Iterator[None]:
    """A document may name addresses; a reader that asks there tells strangers where it runs."""
    tried: list[object] = []

    def refuse(*asked: object, **_named: object) -> NoReturn:
        tried.append(asked)
        raise OSError("a reader may not open connections")

    look_up = socket.getaddrinfo
    socket.getaddrinfo = refuse
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.getaddrinfo = look_up
        del socket.socket.connect  # what is inherited was covered only
    if tried:
        raise AssertionError(f"opened a connection: {tried[0]!r}"[:200])


def most_memory() -> int:
    """Bytes that the process had at most so far (Linux counts in kB; elsewhere growth is not judged)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if sys.platform == "linux" else 0


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    package = str(_CHECKOUT / "pyf_scrapy")
    inner = [frame for frame in frames if frame.filename.startswith(package)] or [
        frame for frame in frames if frame.filename != __file__
    ]
    return f"{Path(inner[-1].filename).name}:{inner[-1].lineno}" if inner else "?"


# --- many inputs


def _tell(line: str) -> None:
    print(line, flush=True)


@dataclass
class Fuzzing:
    """A run: inputs 0, 1, 2, ... of a seed. Findings are told as they come and kept in `folder`."""

    seed: int
    corpus: Corpus
    readers: Sequence[Reader] = READERS
    folder: Path | None = None  # default: a new one in the system's folder for such
    tell: Callable[[str], None] = _tell
    count: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    slowest: dict[str, tuple[float, int]] = field(default_factory=dict)  # reader -> seconds, number

    def make(self, number: int) -> tuple[Reader, bytes]:
        """The reader and the input of a number."""
        dice = Random(f"{self.seed}:{number}")
        reader = dice.choices(self.readers, [reader.share for reader in self.readers])[0]
        return reader, mutate(dice, reader.kind, self.corpus)

    def run(self, *, inputs: int | None = None, seconds: float | None = None, first: int = 0) -> None:
        """So many inputs, or as many as fit into so many seconds."""
        start = told = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="pyf-fuzz-") as folder:
            while len(self.findings) < _MOST_FINDINGS and (inputs is None or self.count < inputs):
                now = time.monotonic()
                if seconds is not None and now - start >= seconds:
                    break
                if now - told >= _HEARTBEAT:
                    told = now
                    self.tell(f"... {now - start:,.0f} s, {self.summary()}")
                self.step(first + self.count, Path(folder))

    def step(self, number: int, scratch: Path) -> None:
        """Make and read one input."""
        reader, body = self.make(number)
        finding, accepted, seconds = try_input(reader, body, scratch)
        self.count += 1
        (self.accepted if accepted else self.refused)[reader.name] += 1
        self.slowest[reader.name] = max(self.slowest.get(reader.name, (0.0, 0)), (seconds, number))
        if finding is not None and finding.signature not in self.findings:
            self.findings[finding.signature] = finding
            self._keep(reader, body, finding, number, scratch)

    def summary(self) -> str:
        """One line for people."""
        seconds, _ = max(self.slowest.values(), default=(0.0, 0))
        share = f"{self.accepted.total() / max(1, self.count):.0%}"
        return (
            f"{self.count:,} inputs, {len(self.readers)} readers, seed {self.seed}: "
            f"{len(self.findings)} findings; {share} accepted; slowest {seconds:.1f} s"
        )

    def table(self) -> Iterator[str]:
        """What each reader was given, took and needed at most."""
        for reader in self.readers:
            accepted, count = (
                self.accepted[reader.name],
                self.accepted[reader.name] + self.refused[reader.name],
            )
            seconds, number = self.slowest.get(reader.name, (0.0, 0))
            yield (
                f"{reader.name:18} {count:9,} inputs, {accepted / max(1, count):4.0%} accepted,"
                f" slowest {seconds:.2f} s (input {number})"
            )

    def _keep(self, reader: Reader, body: bytes, finding: Finding, number: int, scratch: Path) -> None:
        self.folder = self.folder or Path(tempfile.mkdtemp(prefix="pyf-fuzz-findings-"))
        path = self.folder / f"{self.seed}-{number}"
        path.write_bytes(body)
        self.tell(
            f"FINDING: seed {self.seed}, input {number}, {reader.name}: {finding.what} ({finding.where})"
        )
        self.tell(f"  replay: python -m tests.parsers.fuzzing '{reader.name}' {path}")
        small = minimal(reader, body, finding, scratch)
        path.with_suffix(".min").write_bytes(small)
        self.tell(
            f"  {len(small)} of {len(body)} bytes show it ({path.with_suffix('.min')}): {small[:300]!r}"
        )
        self.tell(finding.text)


def minimal(reader: Reader, body: bytes, finding: Finding, scratch: Path, seconds: float = 30) -> bytes:
    """`body` without what the finding does not need, as far as that is found in time."""
    end = time.monotonic() + seconds
    size = len(body) // 2
    while size:
        start = 0
        while start < len(body):
            if time.monotonic() > end:
                return body
            shorter = body[:start] + body[start + size :]
            again, _, _ = try_input(reader, shorter, scratch)
            if again is not None and again.signature == finding.signature:
                body = shorter
            else:
                start += size
        size //= 2
    return body


def main(arguments: Sequence[str], readers: Iterable[Reader] = READERS) -> int:
    """Read a kept input again: 0 fine, 1 still a finding, 2 no such reader."""
    named = {reader.name: reader for reader in readers}
    if len(arguments) != 2 or arguments[0] not in named:
        print(f"usage: python -m tests.parsers.fuzzing READER FILE; readers: {', '.join(named)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="pyf-fuzz-") as folder:
        body = Path(arguments[1]).read_bytes()
        finding, accepted, seconds = try_input(named[arguments[0]], body, Path(folder))
    print(finding.text if finding else f"{'accepted' if accepted else 'refused'} in {seconds:.2f} s")
    return 1 if finding else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
