"""GitHub's answers, real ones too: one misread costs a package its figures, or gives it those of another.

The cases of data/github_*/ are in test_recorded_cases.py, hostile bytes in test_hostile_input.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers.github import parse_contributors, parse_message, parse_repository
from pyf_scrapy.parsers.github_graphql import MAX_ALIASES, Batch, parse_batch, repository_query
from pyf_scrapy.parsers.records import RepositoryRecord

#: What GitHub did not send yet when these were recorded (2012 to 2018), or what is cut down.
WITHOUT_ID = {
    "200_repo_BeaverSoftware_FatherBeaver",
    "200_repo_BeaverSoftware_TestPyGithub",
    "200_repo_PyCQA_flake8",
    "200_repo_fork_jacquev6_gitflow",
    "200_repo_jacquev6_PyGithub",
    "200_repo_sigmavirus24_github3",
}


DATA = Path(__file__).parent / "data"


def keys(value: Any) -> Iterator[str]:
    """All keys of a document."""
    if isinstance(value, list):
        for member in value:
            yield from keys(member)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from keys(member)


def recorded(folder: Path, pattern: str) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted((folder / "github").glob(pattern))
        if not path.name.endswith(".headers.txt")
    }


class TestRealAnswers:
    def test_repositories(self, real_data: Path) -> None:
        records: dict[str, RepositoryRecord] = {}
        refused = set()
        for name, body in recorded(real_data, "200_repo_*.json").items():
            try:
                record = records[name] = parse_repository(body)
            except ParseError as error:
                refused.add(f"{name.partition('.')[0]}: {error.reason}")
                continue
            told: dict[str, Any] = json.loads(body)
            assert f"{record.owner}/{record.name}" == told["full_name"]
            assert record.stars == told["stargazers_count"]
            assert record.watchers == told["subscribers_count"]
            assert record.open_issues_and_pulls == told["open_issues_count"]
            assert record.open_issues is record.open_pull_requests is None
            assert record.license != "NOASSERTION"
            assert record.created_at
            assert record.pushed_at
        assert refused == {f"{name}: its id is missing or none" for name in WITHOUT_ID}
        assert len(records) >= 15
        named = {f"{record.owner}/{record.name}": record for record in records.values()}
        assert named["hub4j-test-org/github-api"].parent == "hub4j/github-api"
        assert named["hub4j-test-org/github-api"].disabled is True
        assert named["test/archived"].archived is True
        assert named["microsoft/autogen"].topics is not None
        assert named["erofs/erofs-utils"].license is None

    def test_a_renamed_repository_is_called_by_its_new_name(self, real_data: Path) -> None:
        """By the old one it would be asked for, and moved permanently, for ever."""
        for body in recorded(real_data, "200_repository_by_id*.json").values():
            record = parse_repository(body)
            assert f"{record.owner}/{record.name}" == json.loads(body)["full_name"]
            assert record.name.endswith(("protoncoin", "newname"))

    def test_contributors(self, real_data: Path) -> None:
        bodies = recorded(real_data, "200_*contributors*.json")
        assert len(bodies) >= 5
        for name, body in bodies.items():
            people = parse_contributors(body)
            told = [person for person in json.loads(body) if "login" in person]
            assert [person.login for person in people] == [person["login"] for person in told[:5]]
            assert [person.contributions for person in people] == [
                person["contributions"] for person in told[:5]
            ]
            assert all(person.avatar_url.startswith("https://") for person in people), name

    @pytest.mark.parametrize("pattern", ["202_*.json", "204_*.json", "30*.json", "40[34]_*.json", "5*.json"])
    def test_what_is_no_repository(self, real_data: Path, pattern: str) -> None:
        bodies = recorded(real_data, pattern)
        assert bodies
        for name, body in bodies.items():
            with pytest.raises(ParseError):
                parse_repository(body)
            if body.strip() != b"[]":  # what a program stored that had no answer
                with pytest.raises(ParseError):
                    parse_contributors(body)
            with pytest.raises(ParseError):
                parse_batch(body, 1)
            assert not re.search(r"[\r\n<>]", parse_message(body)), name

    def test_messages(self, real_data: Path) -> None:
        told = {
            name: parse_message(body) for name, body in recorded(real_data, "[2345]*.json").items() if body
        }
        assert told["403_contributors_too_large.issue.json"].startswith("The history or contributor list is")
        assert told["451_dmca_SickRage.issue.json"] == "Repository access blocked"
        assert told["502_repos_PyGithub_PyGithub.PyGithub.json"] == "Server Error"
        assert told["503_users_jacquev6.PyGithub.json"].startswith("503 Service Unavailable No server")
        (unicorn,) = (line for name, line in told.items() if name.startswith("503_repos_hub4j"))
        assert unicorn == "Unicorn! · GitHub"
        (brace,) = (line for name, line in told.items() if name.startswith("403_search_code_sort"))
        assert brace == ""


class TestMessage:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", ""),
            (b"{", ""),
            (b"[]", ""),
            (b"{}", ""),
            (b"null", ""),
            (b'{"message": null, "errors": [null]}', ""),
            (b'{"errors": [{"message": "Bad\\r\\n\\u001b[31m query"}]}', "Bad [31m query"),
            (b"404", "404"),
            (b"\xff\xfe upstream  down\n", "\ufffd\ufffd upstream down"),
            (b"<html><h1>Bad&nbsp;gateway</h1>" + b"<p>" * 5000, "Bad gateway"),
            (b"[" * 5000, ""),
        ],
    )
    def test_case(self, body: bytes, message: str) -> None:
        assert parse_message(body) == message

    @given(
        st.binary()
        | st.text().map(str.encode)
        | st.text().map(lambda text: msgspec.json.encode({"message": text}))
    )
    def test_any_bytes_give_one_printable_line(self, body: bytes) -> None:
        """It stands in logs and tables of failures: a line break there is a forged line."""
        line = parse_message(body)
        assert line.isprintable()
        assert len(line) <= 300
        assert line == " ".join(line.split())


class TestQuery:
    def test_names_are_values(self) -> None:
        """A repository's name pasted into the query could ask for anything with our token."""
        hostile = [('x") { id } evil: viewer { login', "${y}"), ("Kelp", "kelp.moor")]
        asked = msgspec.json.decode(repository_query(hostile))
        assert asked["variables"] == {"o0": hostile[0][0], "n0": "${y}", "o1": "Kelp", "n1": "kelp.moor"}
        assert asked["query"] == msgspec.json.decode(repository_query([("a", "b"), ("c", "d")]))["query"]
        assert "query($o0: String!, $n0: String!, $o1: String!, $n1: String!) {" in asked["query"]
        assert "r1: repository(owner: $o1, name: $n1) { ...F }" in asked["query"]

    def test_a_full_batch_is_sound_and_cheap(self) -> None:
        """Points by GitHub's rule: a request for each connection of each repository, by 100."""
        query = msgspec.json.decode(repository_query([("kelp", "kelp")] * MAX_ALIASES))["query"]
        assert query.count("{") == query.count("}")
        assert query.count("repository(") == MAX_ALIASES
        connections = len(re.findall(r"totalCount|\bnodes\b", query))
        cost = max(1, round(connections * MAX_ALIASES / 100))
        assert (20_000 / MAX_ALIASES, 20_000 / MAX_ALIASES * cost) <= (250, 1_000)
        assert cost == 4
        assert len(query) < 20_000

    @pytest.mark.parametrize("names", [[], [("a", "b")] * (MAX_ALIASES + 1), [("a", "\ud800")]])
    def test_what_is_no_batch(self, names: list[tuple[str, str]]) -> None:
        with pytest.raises(ValueError, match=r"."):
            repository_query(names)

    def test_all_that_is_asked_for_is_read(self) -> None:
        """A field that is asked for and not read costs time on both sides, one read and not asked is None."""
        query = msgspec.json.decode(repository_query([("kelp", "kelp")]))["query"]
        fragment = re.sub(r"\([^)]*\)", "", query.partition("fragment F on Repository")[2])
        asked = set(re.findall(r"\w+", fragment)) - {"object", "on", "Blob"}
        body = (DATA / "github_batch" / "whole" / "input.json").read_bytes()
        assert asked == set(keys(msgspec.json.decode(body)["data"]["r0"]))
        record = parse_batch(body, 4).records[0]
        assert {field for field, value in msgspec.structs.asdict(record).items() if value is None} == {
            "packages"
        }


class TestBatch:
    def test_one_broken_repository_costs_only_itself(self) -> None:
        """99 others are in the same answer."""
        good = {"id": "R_1", "name": "kelp", "owner": {"login": "k"}}
        nodes: tuple[Any, ...] = (
            None,
            5,
            [],
            {},
            {**good, "id": None},
            {**good, "name": "a/b"},
            {**good, "owner": []},
        )
        for broken in nodes:
            body = msgspec.json.encode({"data": {"r0": good, "r1": broken, "r2": good}})
            batch = parse_batch(body, 3)
            assert set(batch.records) == {0, 2}
            assert batch.missing == {1: "error"}

    def test_a_broken_part_costs_only_itself(self) -> None:
        good = {"id": "R_1", "name": "kelp", "owner": {"login": "k"}, "stargazerCount": 5}
        for part in ("watchers", "repositoryTopics", "latestRelease", "parent", "licenseInfo", "pyproject"):
            values: tuple[Any, ...] = (
                5,
                [],
                {"nodes": 5, "text": 5, "totalCount": "many"},
                {"nodes": [5]},
                "x",
            )
            for value in values:
                batch = parse_batch(msgspec.json.encode({"data": {"r0": {**good, part: value}}}), 1)
                assert batch.records == {0: RepositoryRecord("R_1", "k", "kelp", stars=5)}
                assert batch.files == {}

    def test_not_found_within_a_repository_is_not_a_missing_repository(self) -> None:
        """Taken for one, it would lose its figures on the index."""
        error = {"type": "NOT_FOUND", "path": ["r0", "parent"], "message": "Could not resolve"}
        batch = parse_batch(msgspec.json.encode({"data": {"r0": None}, "errors": [error]}), 1)
        assert batch == Batch({}, {0: "error"}, {}, None, ("Could not resolve",))

    def test_files_are_whole_and_can_be_stored(self) -> None:
        node = {
            "id": "R_1",
            "name": "kelp",
            "owner": {"login": "k"},
            "pyproject": {"text": "[project]\0\n", "isTruncated": False},
            "setupCfg": {"text": "", "isTruncated": False},
            "setupPy": {"text": "cut of", "isTruncated": True},
        }
        batch = parse_batch(msgspec.json.encode({"data": {"r0": node}}), 1)
        assert batch.files == {0: {"pyproject.toml": "[project]\n"}}

    def test_sums_beyond_int64_are_not_known(self) -> None:
        most = {"totalCount": 2**63 - 1}
        node = {"id": "R_1", "name": "kelp", "owner": {"login": "k"}, "issues": most, "pullRequests": most}
        record = parse_batch(msgspec.json.encode({"data": {"r0": node}}), 1).records[0]
        assert record.open_issues == record.open_pull_requests == 2**63 - 1
        assert record.open_issues_and_pulls is None
