"""`scrapy demo` is the first thing that a newcomer runs: it works whatever is set, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyf_scrapy import demo
from pyf_scrapy.exceptions import AlreadyRunningError, PyfError
from pyf_scrapy.profiles import Profile, load_profiles
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.replica import Replica
from pyf_scrapy.search.binary import supported
from pyf_scrapy.settings_table import SETTINGS
from pyf_scrapy.store.locks import FileLock
from tests.commands.world import run_in
from tests.crawling import CHECKOUT, Place

Gone = Callable[..., bool]


@pytest.fixture
def data(tmp_path: Path, gone: Gone) -> Iterator[Path]:
    """A data folder; its demo's search server ends when the folder is moved."""
    if not supported():
        pytest.skip("the embedded Typesense runs on Linux x86-64 only")
    folder = tmp_path / "data"
    yield folder
    if (folder / "demo" / "typesense").exists():
        moved = (folder / "demo").rename(tmp_path / "moved")
        assert gone(moved / "typesense")


def start(data: Path, **environ: str) -> subprocess.Popen[str]:
    """The command as a user types it, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "scrapy", "demo", "--projects", "250"],
        cwd=CHECKOUT,
        env={**os.environ, "PYF_DATA_DIR": str(data), **environ},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Whoever starts the tests in the background has it ignored, and so would the demo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def in_group(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == group:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def test_from_end_to_end_in_a_hostile_environment(data: Path, tmp_path: Path) -> None:
    (data / "demo").mkdir(parents=True)
    (data / "demo" / "store.sqlite").write_text("left by a former demo")
    broken = tmp_path / "broken.env"
    broken.write_text("this is no setting\n")
    process = start(
        data,
        TYPESENSE_HOST="nowhere",
        PYPI_MAX_RPS="abc",
        PYPI_URL="http://127.0.0.1:9",
        DATABASE_URL="sqlite:////nowhere/at/all",
        DEFAULT_PROFILE="nope",
        PYF_ENV_FILE=str(broken),
    )
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, output + errors
    assert in_group(process.pid) == []
    typed = [line for line in output.splitlines() if line.startswith("$ ")]
    assert typed[0] == "$ scrapy replica --projects 250 --seed 7 &"
    assert re.fullmatch(r"\$ export PYPI_URL=http://127\.0\.0\.1:\d+", typed[1])
    assert typed[2] == f"$ export PYF_DATA_DIR={data / 'demo'}"
    assert [line.split()[2] for line in typed[3:]] == [
        *("crawl", "status", "search", "search", "search", "show", "crawl")
    ]
    assert "No package found" not in output
    assert output.count("1 package found") >= 1
    assert "Nothing to do: everything is up to date." in output
    assert "scrapy crawl pypi -a profile=plone -a releases=latest" in output.split("real pypi.org")[1]
    assert sorted(path.name for path in data.iterdir()) == ["demo", "demo.lock"]


def test_ctrl_c_ends_it_and_its_children(data: Path) -> None:
    with start(data) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("$ scrapy crawl"):
                break
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    assert errors.splitlines()[-1] == "scrapy demo: interrupted"
    assert in_group(process.pid) == []


def test_the_first_failing_command_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    unknown = Profile(key="nope", name="Nope", classifiers=("Framework :: Plone",))
    said: list[str] = []
    code = demo.run(tmp_path / "demo", os.environ, Options(projects=250), [unknown], said.append)
    assert code == 2
    assert said[-1] == "\nThe demo ends here: this command failed with exit code 2."
    assert sum("$ scrapy" in line for line in said) == 2


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "demo.lock"),
        pytest.raises(AlreadyRunningError, match="another demo is running"),
    ):
        demo.run(tmp_path / "demo", {}, Options(projects=250), [load_profiles()["plone"]], lambda line: None)


def test_a_replica_without_packages_to_show_is_refused(tmp_path: Path) -> None:
    nobody = Options(projects=250, members={"plone": 0})
    with pytest.raises(PyfError, match="too few packages of Plone"):
        demo.run(tmp_path / "demo", {}, nobody, [load_profiles()["plone"]], lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("projects", [200, 250, 1000, 2000, 5000])
def test_its_words_are_those_of_a_real_package(projects: int) -> None:
    replica = Replica(Options(projects=projects))
    package = demo.star(replica, load_profiles()["plone"])
    assert package.normalized_name in replica.members("Framework :: Plone")
    lines = [demo.shown(step.arguments) for step in demo.steps(replica, [load_profiles()["plone"]])]
    assert f"scrapy search {package.words[0]} -p plone" in lines
    assert f"scrapy show {package.normalized_name} -p plone" in lines


def test_children_know_no_setting_of_the_caller() -> None:
    hostile = {setting.name: "abc" for setting in SETTINGS}
    assert demo.child_environment({**hostile, "HOME": "/home/me"}) == {"HOME": "/home/me", "PYF_ENV_FILE": ""}


def test_a_former_demo_is_moved_away_then_removed(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "typesense").mkdir(parents=True)
    demo.set_aside(folder)
    assert not folder.exists()
    demo.set_aside(folder)  # nothing there
    demo.remove_set_aside(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_is_for_people(fresh: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in(fresh, "demo", "--json") == 2
    assert run_in(fresh, "demo", "--seed") == 2
    assert not fresh.folder.exists()
