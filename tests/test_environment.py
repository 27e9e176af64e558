"""Settings from the environment and `.env`: a wrong one is named before a crawl, a secret never shown."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pyf_scrapy.environment import (
    RENAMED,
    ceiling,
    example_env,
    find_env_file,
    load_environment,
    obsolete,
    read_env_file,
    read_environment,
    renamed,
    variables,
)
from pyf_scrapy.exceptions import UsageProblem
from pyf_scrapy.settings_table import SETTINGS

ROOT = Path(__file__).parents[1]
FOLDER = Path("/some/where")


def read(**environ: str) -> dict[str, Any]:
    return read_environment(environ, FOLDER)


class TestTable:
    def test_example_env_says_what_the_table_says(self) -> None:
        expected = example_env()
        assert (ROOT / "example.env").read_text() == expected, (
            "write it again: Path('example.env').write_text(example_env())"
        )
        for setting in SETTINGS:
            assert f"#{setting.name}={setting.default_text}\n" in expected

    def test_example_env_as_it_is_sets_nothing(self, tmp_path: Path) -> None:
        assert read_env_file(ROOT / "example.env") == {}

    def test_example_env_with_everything_taken_in_is_the_defaults(self, tmp_path: Path) -> None:
        env = tmp_path / ".env"
        env.write_text(
            "\n".join(
                line[1:]
                for line in example_env().splitlines()
                if line.startswith("#") and line[1:2].isupper()
            )
        )
        assert {setting.name for setting in SETTINGS} == set(read_env_file(env))
        assert read_environment(read_env_file(env), FOLDER) == read_environment({}, FOLDER)

    def test_names_are_unique_and_sorted_by_component(self) -> None:
        names = [setting.name for setting in SETTINGS]
        assert len(names) == len(set(names))
        components = [setting.component for setting in SETTINGS]
        assert components == sorted(components, key=components.index)
        assert not set(names) & set(RENAMED)
        assert all(setting.help and "\n" not in setting.help for setting in SETTINGS)


class TestValues:
    def test_defaults_are_those_of_the_documentation(self) -> None:
        values = read()
        assert values["TYPESENSE_HOST"] is None, "no host = the server that starts by itself"
        assert (values["TYPESENSE_PORT"], values["TYPESENSE_PROTOCOL"], values["TYPESENSE_TIMEOUT"]) == (
            8108,
            "http",
            120,
        )
        assert (values["PYPI_MAX_RETRIES"], values["PYPI_RETRY_BACKOFF"]) == (3, 2.0)
        assert values["PYF_DATA_DIR"] == FOLDER / ".pyf"
        assert set(values) == {setting.name for setting in SETTINGS}

    def test_only_pypi_org_has_a_ceiling_by_itself(self) -> None:
        """Without it the first crawl of a user could be a nuisance to PyPI."""
        assert read()["PYPI_MAX_RPS"] is None
        assert ceiling("https://pypi.org", None) == 5
        assert ceiling("https://PyPI.org/", None) == 5
        assert ceiling("http://127.0.0.1:8000", None) == 0
        assert ceiling("https://pypi.org.example.com", None) == 0
        assert ceiling("https://pypi.org", 0) == 0
        assert read(PYPI_MAX_RPS="2.5")["PYPI_MAX_RPS"] == 2.5
        assert read(PYPI_MAX_RPS="0")["PYPI_MAX_RPS"] == 0

    def test_empty_is_not_set(self) -> None:
        empty = {setting.name: " " for setting in SETTINGS if setting.type != "cron"}
        assert read_environment(empty, FOLDER) == read()

    def test_an_empty_crontab_expression_is_off(self) -> None:
        """As with pyf.aggregator, whose users bring such lines along."""
        assert read(SCHEDULE_SYNC=" ")["SCHEDULE_SYNC"] == ""
        assert read(CELERY_SCHEDULE_WEEKLY_DOWNLOADS="")["SCHEDULE_DOWNLOADS"] == ""
        assert read()["SCHEDULE_SYNC"] == "*/30 * * * *"

    def test_conversions(self) -> None:
        values = read(
            PYPI_URL="http://[::1]:8000/index/",
            TYPESENSE_PORT="443",
            TYPESENSE_TIMEOUT="1e1",
            PROFILES_FILE="mine.yaml",
            PYF_DATA_DIR="/data/pyf",
            DATABASE_URL="postgresql+psycopg://user:pass@host/db",
            REDIS_URL="redis://:pass@host:6379/0",
            TYPESENSE_HOST="search.example.com",
            GITHUB_TOKEN="ghp_abc",
            SCHEDULE_SYNC=" 0  4 * * sun",
            SCHEDULE_TIMEZONE="Europe/Berlin",
            SCHEDULE_LIMITS="sync=60, full=0 health=1.5",
        )
        assert values["PYPI_URL"] == "http://[::1]:8000/index"
        assert values["TYPESENSE_PORT"] == 443
        assert values["TYPESENSE_TIMEOUT"] == 10
        assert values["PROFILES_FILE"] == FOLDER / "mine.yaml"
        assert values["PYF_DATA_DIR"] == Path("/data/pyf")
        assert values["DATABASE_URL"] == "postgresql+psycopg://user:pass@host/db"
        assert values["REDIS_URL"] == "redis://:pass@host:6379/0"
        assert values["SCHEDULE_SYNC"] == "0 4 * * sun"
        assert values["SCHEDULE_TIMEZONE"] == "Europe/Berlin"
        assert values["SCHEDULE_LIMITS"] == {"sync": 60, "full": 0, "health": 1.5}

    def test_names_of_the_seeds_are_read_unless_ours_is_set(self) -> None:
        assert read(CELERY_SCHEDULE_WEEKLY_GITHUB="0 5 * * 0")["SCHEDULE_GITHUB"] == "0 5 * * 0"
        both = read(CELERY_SCHEDULE_WEEKLY_GITHUB="0 5 * * 0", SCHEDULE_GITHUB="0 6 * * *")
        assert both["SCHEDULE_GITHUB"] == "0 6 * * *"
        assert read(CELERY_SCHEDULE_WEEKLY_GITHUB="0 5 * * 0", SCHEDULE_GITHUB="")["SCHEDULE_GITHUB"] == ""

    def test_a_monthly_full_fetch_of_the_seeds_is_not_taken_over(self) -> None:
        """It would fetch all of PyPI for days, each month, for nothing."""
        assert read(CELERY_SCHEDULE_MONTHLY_FETCH="0 3 1 * *")["SCHEDULE_FULL"] == ""

    @pytest.mark.parametrize(
        ("releases", "projects", "feeds"),
        [("*/2 * * * *", "*/3 * * * *", "*/2 * * * *"), ("", "*/3 * * * *", "*/3 * * * *"), ("", "", "")],
    )
    def test_the_two_feeds_of_the_seeds_are_one_job_which_is_off_when_both_are(
        self, releases: str, projects: str, feeds: str
    ) -> None:
        values = read(CELERY_SCHEDULE_RSS_PROJECTS=projects, CELERY_SCHEDULE_RSS_RELEASES=releases)
        assert values["SCHEDULE_FEEDS"] == feeds

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("TYPESENSE_PORT", "http", "TYPESENSE_PORT='http' must be a whole number from 1 to 65535"),
            ("TYPESENSE_PORT", "0", "TYPESENSE_PORT='0' must be a whole number from 1 to 65535"),
            ("TYPESENSE_PORT", "9" * 5000, "must be a whole number from 1 to 65535"),
            ("PYPI_MAX_RPS", "-1", "PYPI_MAX_RPS='-1' must be a number of at least 0"),
            ("PYPI_MAX_RPS", "nan", "must be a number"),
            ("PYPI_MAX_RPS", "inf", "must be a number"),
            ("TYPESENSE_PROTOCOL", "ftp", "TYPESENSE_PROTOCOL='ftp' must be http or https"),
            ("DESCRIPTIONS", "some", "DESCRIPTIONS='some' must be latest or all"),
            ("TYPESENSE_HOST", "http://localhost", "must be a host name or address alone"),
            ("TYPESENSE_COLLECTION", "a/b", "TYPESENSE_COLLECTION='a/b' must be letters, digits"),
            ("PYPI_URL", "pypi.org", "PYPI_URL='pypi.org' must begin with http:// or https://"),
            ("PYPI_URL", "file:///etc/passwd", "must begin with http:// or https://"),
            ("PYPI_URL", "https://", "has no valid host; for example https://pypi.org"),
            ("PYPI_URL", "https://a b", "must not hold blanks"),
            ("PYPI_URL", "https://x/?a=b", "must not hold ? or #"),
            ("PYPI_URL", "https://x:99999", "is not a URL; check its host and port"),
            ("PYPI_URL", "https://[::1", "is not a URL; check its host and port"),
            (
                "DATABASE_URL",
                "mysql://x",
                "DATABASE_URL must begin with sqlite:// or postgresql://",
            ),
            ("PYF_DATA_DIR", "~no-such-user-here/x", "is not a usable path; write it in full"),
            ("SCHEDULE_SYNC", "61 * * * *", "SCHEDULE_SYNC='61 * * * *' has no valid minute: write minute"),
            ("SCHEDULE_SYNC", "follow", "SCHEDULE_SYNC='follow' does not have five fields"),
            ("SCHEDULE_FEEDS", "folow", "(*/30 * * * *), or the word follow; nothing means off"),
            ("SCHEDULE_TIMEZONE", "CEST", "must be a time zone of this system, such as UTC or Europe"),
            ("SCHEDULE_TIMEZONE", "../etc", "must be a time zone of this system"),
            ("SCHEDULE_LIMITS", "sink=5", "must be NAME=NUMBER, several with blanks; the names are feeds"),
            ("SCHEDULE_LIMITS", "sync=", "must be NAME=NUMBER"),
            ("SCHEDULE_LIMITS", "sync=-1", "SCHEDULE_LIMITS='-1' must be a number of at least 0"),
            ("USER_AGENT_CONTACT", "me\r\nX-Evil: 1", "USER_AGENT_CONTACT must not hold control characters"),
        ],
    )
    def test_a_wrong_value_is_named_with_what_would_be_right(
        self, name: str, text: str, message: str
    ) -> None:
        with pytest.raises(UsageProblem) as caught:
            read(**{name: text})
        assert message in str(caught.value)
        assert str(caught.value).startswith(name)
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("GITHUB_TOKEN", "hush hush"),
            ("TYPESENSE_API_KEY", "hush\x1b"),
            ("TYPESENSE_API_KEY", "hüsh-hush"),
            ("PYPI_URL", "https://me:hush@pypi.org"),
            ("PYPI_URL", "https://me:hush@pypi.org:port"),
            ("PYPI_URL", "ftp://me:hush@pypi.org"),
            ("DATABASE_URL", "mysql://me:hush@host/db"),
            ("REDIS_URL", "http://:hush@host"),
            ("DATABASE_URL", "hush"),
            ("REDIS_URL", "redis://hush hush"),
        ],
    )
    def test_secrets_are_never_shown(self, name: str, text: str) -> None:
        with pytest.raises(UsageProblem) as caught:
            read(**{name: text})
        assert "hush" not in str(caught.value)
        assert "hüsh" not in str(caught.value)

    @given(st.sampled_from(SETTINGS), st.text(max_size=40))
    @hypothesis_settings(max_examples=200)
    def test_no_text_raises_anything_else(self, setting: Any, text: str) -> None:
        message = setting.name
        try:
            read(**{setting.name: text})
        except UsageProblem as error:
            message = str(error)
        assert message.startswith(setting.name)


class TestSecretFiles:
    """Containers hand passwords over as files: what stands in the environment is shown to many."""

    NAMES = ("DATABASE_URL", "GITHUB_TOKEN", "REDIS_URL", "TYPESENSE_API_KEY")

    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        file = tmp_path / "secret"
        file.write_text(" hush-hush\n")
        return file

    def test_every_setting_that_may_be_secret_has_one_and_no_other(self) -> None:
        files = {setting.file.name for setting in SETTINGS if setting.file is not None}
        assert files <= variables()
        secret = {setting.name for setting in SETTINGS if setting.type == "secret"}
        assert files == {f"{name}_FILE" for name in secret | {"DATABASE_URL", "REDIS_URL"}}
        assert set(self.NAMES) <= {name.removesuffix("_FILE") for name in files}
        assert not [name for name in files if name not in example_env()]

    def test_its_line_is_the_value(self, secret: Path) -> None:
        values = read_environment({"GITHUB_TOKEN_FILE": str(secret), "TYPESENSE_API_KEY": "key"}, FOLDER)
        assert (values["GITHUB_TOKEN"], values["TYPESENSE_API_KEY"]) == ("hush-hush", "key")
        assert "GITHUB_TOKEN_FILE" not in values

    def test_it_is_relative_to_the_project_and_may_be_named_in_the_env_file(self, secret: Path) -> None:
        (secret.parent / ".env").write_text("TYPESENSE_API_KEY_FILE=secret\nTYPESENSE_API_KEY=\n")
        assert load_environment({}, secret.parent)["TYPESENSE_API_KEY"] == "hush-hush"

    def test_nothing_is_no_file(self) -> None:
        assert read(**{f"{name}_FILE": " " for name in self.NAMES}) == read()

    def test_a_file_beside_the_value_is_refused(self, secret: Path) -> None:
        """Which of the two counts would be a guess."""
        with pytest.raises(UsageProblem, match="GITHUB_TOKEN and GITHUB_TOKEN_FILE are both set; keep one"):
            read(GITHUB_TOKEN="token", GITHUB_TOKEN_FILE=str(secret))

    @pytest.mark.parametrize(
        "data", [b"", b"\n \n", b"hush\nhush\n", b"hush\xff", b"hush" * 10_000, b"hu\x1bsh", b"h\xc3\xbcsh"]
    )
    def test_what_is_no_secret_is_refused_and_not_shown(self, secret: Path, data: bytes) -> None:
        secret.write_bytes(data)
        with pytest.raises(UsageProblem) as caught:
            read(TYPESENSE_API_KEY_FILE=str(secret))
        assert str(caught.value).startswith("TYPESENSE_API_KEY")
        assert not {"hush", "hüsh"} & set(str(caught.value).split())

    @pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
    def test_a_password_where_a_url_belongs_is_not_shown(self, secret: Path, name: str) -> None:
        with pytest.raises(UsageProblem, match=f"^{name} must begin with") as caught:
            read(**{f"{name}_FILE": str(secret)})
        assert "hush" not in str(caught.value)

    def test_one_that_cannot_be_read_is_named_with_the_reason(self, tmp_path: Path) -> None:
        for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
            with pytest.raises(UsageProblem, match=f"^GITHUB_TOKEN_FILE: {path} cannot be read: {reason}$"):
                read(GITHUB_TOKEN_FILE=str(path))

    def test_its_variable_is_no_mistake(self) -> None:
        assert obsolete({f"{name}_FILE": "x" for name in self.NAMES}) == []
        (hint,) = obsolete({"TYPESENSE_API_KEY_FIEL": "x"})
        assert "did you mean TYPESENSE_API_KEY_FILE?" in hint


class TestEnvFile:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        project = tmp_path / "above" / "project"
        (project / "sub").mkdir(parents=True)
        (project / "scrapy.cfg").touch()
        (tmp_path / "above" / ".env").write_text("DEFAULT_PROFILE=above\n")
        return project

    def test_beside_scrapy_cfg_also_from_a_sub_folder(self, checkout: Path) -> None:
        (checkout / ".env").write_text("DEFAULT_PROFILE=plone # as in the seeds\nPYF_DATA_DIR=data\n")
        (checkout / "sub" / ".env").write_text("DEFAULT_PROFILE=sub\n")
        for start in (checkout, checkout / "sub"):
            values = load_environment({}, start)
            assert values["DEFAULT_PROFILE"] == "plone"
            assert values["PYF_DATA_DIR"] == checkout / "data"

    def test_else_in_the_working_directory_never_above(self, checkout: Path, tmp_path: Path) -> None:
        """A stray `.env` of another project must not redirect a crawl."""
        assert find_env_file({}, checkout) is None
        (checkout / "sub" / ".env").write_text("DEFAULT_PROFILE=sub\n")
        assert load_environment({}, checkout / "sub")["DEFAULT_PROFILE"] == "sub"
        plain = tmp_path / "above" / "plain"
        plain.mkdir()
        assert find_env_file({}, plain) is None
        assert load_environment({}, plain)["PYF_DATA_DIR"] == plain / ".pyf"

    def test_the_working_directory_is_the_start(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (checkout / ".env").write_text("DEFAULT_PROFILE=plone\n")
        monkeypatch.chdir(checkout / "sub")
        monkeypatch.delenv("PYF_ENV_FILE", raising=False)
        monkeypatch.setenv("DEFAULT_PROFILE", "flask")
        assert load_environment()["DEFAULT_PROFILE"] == "flask"

    def test_the_environment_beats_the_file_even_with_nothing(self, checkout: Path) -> None:
        (checkout / ".env").write_text("TYPESENSE_HOST=example.com\nDEFAULT_PROFILE=plone\n")
        values = load_environment({"TYPESENSE_HOST": "", "DEFAULT_PROFILE": "flask"}, checkout)
        assert (values["TYPESENSE_HOST"], values["DEFAULT_PROFILE"]) == (None, "flask")

    def test_another_file_or_none_can_be_named(self, checkout: Path) -> None:
        """`make demo` and `make test` must not meet the services of the user's `.env`."""
        (checkout / ".env").write_text("DEFAULT_PROFILE=plone\n")
        other = checkout / "other.env"
        other.write_text("DEFAULT_PROFILE=other\n")
        assert load_environment({"PYF_ENV_FILE": ""}, checkout)["DEFAULT_PROFILE"] is None
        assert load_environment({"PYF_ENV_FILE": str(other)}, checkout)["DEFAULT_PROFILE"] == "other"
        with pytest.raises(UsageProblem, match="PYF_ENV_FILE names 'nope', which is not a file"):
            load_environment({"PYF_ENV_FILE": "nope"}, checkout)

    def test_values_are_taken_as_written(self, tmp_path: Path) -> None:
        env = tmp_path / ".env"
        env.write_bytes(b"\xef\xbb\xbfexport A='x ${B} y'\n\nB=\"q\\n\" # c\nC=\r\n# D=1\n")
        assert read_env_file(env) == {"A": "x ${B} y", "B": "q\n", "C": ""}

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"A=1\nGITHUB_TOKEN\n", ":2: not NAME=value"),
            (b"A=1\nB='hush\n", ":2: not NAME=value"),
            (b"A=1\n\nB=\xff\n", ":3: not UTF-8"),
            (b"#" * 200_000, ": larger than 100,000 bytes"),
        ],
    )
    def test_a_broken_file_names_the_line_not_the_text(
        self, tmp_path: Path, data: bytes, message: str
    ) -> None:
        env = tmp_path / ".env"
        env.write_bytes(data)
        with pytest.raises(UsageProblem) as caught:
            read_env_file(env)
        assert message in str(caught.value)
        assert "hush" not in str(caught.value)

    def test_an_unreadable_file_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(UsageProblem, match="cannot be read"):
            read_env_file(tmp_path)


def test_names_of_the_seeds_that_mean_nothing_here_are_explained() -> None:
    hints = obsolete(
        {
            "PYPI_MAX_WORKERS": "20",
            "CELERY_SCHEDULE_OTHER": "x",
            "CELERY_SCHEDULE_MONTHLY_FETCH": "0 3 1 * *",
            "CELERY_SCHEDULE_RSS_PROJECTS": "x",
            "CELERY_WORKER_POOL": "y",
            "HOME": "/",
        }
    )
    assert hints == [
        "CELERY_SCHEDULE_MONTHLY_FETCH is not used; not needed: serials tell what changed; SCHEDULE_FULL "
        "fetches all again",
        "CELERY_SCHEDULE_OTHER is not used; use SCHEDULE_* and `scrapy schedule`",
        "CELERY_WORKER_POOL is not used; not needed: there is no Celery",
        "PYPI_MAX_WORKERS is not used; use PYPI_CONCURRENCY",
    ]
    assert obsolete({setting.name: "x" for setting in SETTINGS}) == []


def test_names_of_the_seeds_that_are_read_are_named_with_their_successors() -> None:
    assert renamed({"CELERY_SCHEDULE_WEEKLY_GITHUB": "", "HOME": "/", "SCHEDULE_SYNC": ""}) == [
        "CELERY_SCHEDULE_WEEKLY_GITHUB is now SCHEDULE_GITHUB"
    ]
    both = {"CELERY_SCHEDULE_RSS_PROJECTS": "", "SCHEDULE_FEEDS": ""}
    assert renamed(both) == ["CELERY_SCHEDULE_RSS_PROJECTS is now SCHEDULE_FEEDS; the latter counts"]


def test_every_variable_of_the_seeds_is_a_setting_or_explained() -> None:
    """A user of pyf.aggregator brings their `.env` along."""
    seeds = [
        "TYPESENSE_HOST",
        "TYPESENSE_PORT",
        "TYPESENSE_PROTOCOL",
        "TYPESENSE_API_KEY",
        "TYPESENSE_TIMEOUT",
        "TYPESENSE_COLLECTION",
        "GITHUB_TOKEN",
        "GITHUB_REQUEST_DELAY",
        "GITHUB_COOLOFFTIME",
        "PYPI_RATE_LIMIT_DELAY",
        "PYPI_MAX_RETRIES",
        "PYPI_RETRY_BACKOFF",
        "PYPI_MAX_WORKERS",
        "PYPI_BATCH_SIZE",
        "PYPISTATS_RATE_LIMIT_DELAY",
        "PYPISTATS_MAX_RETRIES",
        "PYPISTATS_RETRY_BACKOFF",
        "REDIS_HOST",
        "CELERY_SCHEDULE_RSS_PROJECTS",
        "CELERY_SCHEDULE_RSS_RELEASES",
        "CELERY_SCHEDULE_WEEKLY_REFRESH",
        "CELERY_SCHEDULE_WEEKLY_DOWNLOADS",
        "CELERY_SCHEDULE_WEEKLY_GITHUB",
        "CELERY_SCHEDULE_MONTHLY_FETCH",
        "RSS_DEDUP_TTL",
        "RSS_DEDUP_TTL_NEW",
        "RSS_DEDUP_TTL_UPDATE",
        "CELERY_WORKER_POOL",
        "CELERY_TASK_TIME_LIMIT",
        "DEFAULT_PROFILE",
    ]
    assert [name for name in seeds if name not in variables() and not obsolete({name: "x"})] == []


class TestMakefile:
    """`make demo` and `make test` must not use the services, limits and data of whoever types them."""

    def cleared(self, names: set[str]) -> set[str]:
        (line,) = (
            line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("CLEAN = ")
        )
        (script,) = re.findall(r"sed -nE '(.+?)'", line)
        environ = "".join(f"{name}=x=y\n" for name in names)
        done = subprocess.run(
            ["sed", "-nE", script.replace("$$", "$")],
            input=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.replace("-u ", "").split())

    def test_it_clears_all_settings(self) -> None:
        names = variables() | {"CELERY_SCHEDULE_MONTHLY_FETCH", "PYF_SEED"}
        assert self.cleared(names) == names

    def test_and_nothing_that_python_or_a_test_needs(self) -> None:
        assert not self.cleared(
            {
                "PATH",
                "HOME",
                "TMPDIR",
                "LANG",
                "HTTPS_PROXY",
                "PIP_INDEX_URL",
                "SSL_CERT_FILE",
                "CI",
                "COLUMNS",
            }
        )


def test_a_mistyped_setting_is_named() -> None:
    """Else the ceiling that an operator believes in does not exist."""
    assert obsolete({"PYPI_MAX_RPZ": "5", "HOME": "/", "PYPI_URL": "x"}) == [
        "PYPI_MAX_RPZ is not a setting; did you mean PYPI_MAX_RPS?"
    ]
