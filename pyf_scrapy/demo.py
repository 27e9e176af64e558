"""The demo: the public commands, one after the other, against a replica of PyPI, in a folder of their own."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pyf_scrapy.environment import ENV_FILE_VARIABLE, project_folder, variables
from pyf_scrapy.exceptions import AlreadyRunningError, PyfError
from pyf_scrapy.profiles import Profile
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.replica.truth import Project
from pyf_scrapy.store.locks import FileLock

_GRACE = 5.0  # seconds; Ctrl-C reaches the children of a terminal by itself, a second one is rude to Scrapy
_PATIENCE = 10.0  # seconds until a child that does not end is killed
_OLD = "demo-old-"


@dataclass(frozen=True)
class Step:
    """One command of the demo, and why it is run."""

    about: str
    arguments: tuple[str, ...]


def steps(replica: Replica, profiles: Sequence[Profile]) -> list[Step]:
    """The commands, with words that the replica's packages of the first profile really have."""
    profile = profiles[0]
    package = star(replica, profile)
    coined, word = package.words
    typo = word[:3] + word[4:]
    crawl = ("crawl", "pypi", "-a", f"profile={','.join(each.key for each in profiles)}")
    here = ("-p", profile.key)
    return [
        Step("Fetch every project once; what matches a profile goes to its collection.", crawl),
        Step("How far is it, what is in the index?", ("status",)),
        Step(f"Which {profile.name} packages are in the best health?", ("search", *here, "--per-page", "5")),
        Step("Search by a name, with a letter missing ...", ("search", typo, *here)),
        Step("... and by a word of a README.", ("search", coined, *here)),
        Step("All about that package, by any spelling.", ("show", package.normalized_name, *here)),
        Step("The same crawl again: only what changed since is fetched, and nothing did.", crawl),
    ]


def star(replica: Replica, profile: Profile) -> Project:
    """The package that is shown: of the profile, well-behaved, named after its word, with most releases."""
    members = map(replica.project, replica.members(profile.classifiers[0]))
    fit = [
        member
        for member in members
        if member is not None
        and member.latest is not None
        and not (member.latest.yanked or member.hostile)
        and member.normalized_name.endswith(f"-{member.words[1]}")
    ]
    if not fit:
        raise PyfError(f"the replica has too few packages of {profile.name}: give it more projects")
    return max(fit, key=lambda member: (len(member.releases), member.name))


def run(
    folder: Path,
    environ: Mapping[str, str],
    options: Options,
    profiles: Sequence[Profile],
    say: Callable[[str], None],
) -> int:
    """Run the demo in `folder`, whose former content is removed; return the code of the first failure, or 0.

    `environ` is that of the caller, `say` prints a line. Children write to the caller's standard output and
    error. Raises PyfError, AlreadyRunningError when another demo uses the folder.
    """
    planned = steps(Replica(options), profiles)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    if not lock.acquire(blocking=False):
        raise AlreadyRunningError(f"another demo is running in {folder}")
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)
        stack.enter_context(_interrupted_by(signal.SIGTERM, signal.SIGHUP))
        set_aside(folder)
        # By now the old search server has seen that its folder is gone, and ended.
        stack.callback(remove_set_aside, folder.parent)
        environment = child_environment(environ)
        url = stack.enter_context(_replica(options, environment, say))
        addresses = {"PYPI_URL": url, "PYF_DATA_DIR": as_set(folder)}
        say("\n# All that the commands are told: where PyPI is, and where to keep data.")
        for name, value in addresses.items():
            say(f"$ export {name}={shlex.quote(value)}")
        for step in planned:
            say(f"\n# {step.about}\n$ {shown(step.arguments)}")
            with _child(step.arguments, environment | addresses) as process:
                code = _finished(process)
            if code:
                say(f"\nThe demo ends here: this command failed with exit code {code}.")
                return code if code > 0 else 128 - code
    return 0


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without any setting of the project, and without `.env`."""
    own = variables()
    return {name: value for name, value in environ.items() if name not in own} | {ENV_FILE_VARIABLE: ""}


def shown(arguments: Sequence[str]) -> str:
    """A command as a user types it."""
    return shlex.join(("scrapy", *arguments))


def as_set(folder: Path) -> str:
    """The folder as PYF_DATA_DIR takes it, relative to scrapy.cfg if possible."""
    project = project_folder()
    return str(folder.relative_to(project) if project and folder.is_relative_to(project) else folder)


def set_aside(folder: Path) -> None:
    """Move a former demo out of the way.

    Its search server may be running still: it ends by itself when its folder is gone from its place.
    """
    if not folder.exists():
        return
    try:
        folder.rename(Path(tempfile.mkdtemp(prefix=_OLD, dir=folder.parent)) / folder.name)
    except OSError as error:
        raise PyfError(f"cannot move {folder} away: {error.strerror}") from error


def remove_set_aside(parent: Path) -> None:
    """Remove former demos; what a server writes to meanwhile stays for the next time."""
    for old in parent.glob(f"{_OLD}*"):
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _replica(options: Options, environment: Mapping[str, str], say: Callable[[str], None]) -> Iterator[str]:
    """A replica as a process of its own; gives its address."""
    arguments = ("replica", "--projects", str(options.projects), "--seed", str(options.seed))
    say(f"# A PyPI of invented packages, on this machine only.\n$ {shown(arguments)} &")
    with _child(arguments, environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        address = line.rpartition(" ")[2]
        if not address.startswith("http://"):
            raise PyfError("the replica of PyPI did not start")
        say(line)
        yield address


@contextlib.contextmanager
def _child(
    arguments: Sequence[str], environment: Mapping[str, str], stdout: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A command as a child that does not outlive the block, however that ends."""
    command = [sys.executable, "-m", "scrapy", *arguments]
    with subprocess.Popen(command, env=dict(environment), stdout=stdout, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)  # without effect on one that has ended
            if not _wait(process, _PATIENCE):
                process.kill()


def _finished(process: subprocess.Popen[str]) -> int:
    """The exit code of a command that runs to its end, or is interrupted together with the demo."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        _wait(process, _GRACE)
        raise


def _wait(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether the process has ended within the time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is not None


@contextlib.contextmanager
def _interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Treat these signals as Ctrl-C, so that children are ended."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
