"""GitHub's REST API, as far as one needs it to learn about a repository.

`GET /repos/OWNER/NAME` and `GET /repositories/ID`, below both `/contributors` (`per_page`, `page`, `anon`)
and `/releases/latest`; `GET /rate_limit`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

from pyf_scrapy.replica.answers import Answer
from pyf_scrapy.replica.dice import Dice
from pyf_scrapy.replica.github_limits import ANONYMOUS, DOCS, JSON, GitHubLimits
from pyf_scrapy.replica.limits import Watch
from pyf_scrapy.replica.repositories import Repositories, Repository
from pyf_scrapy.replica.simple import etag
from pyf_scrapy.replica.words import PEOPLE

_PATH = re.compile(
    r"^(?:/repos/(?P<name>[^/]+/[^/]+)|/repositories/(?P<id>\d{1,10}))(?P<part>/contributors|/releases/latest)?$"
)
_VARY = "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With"
_DOCUMENTATION = {
    None: f"{DOCS}/rest/repos/repos#get-a-repository",
    "/contributors": f"{DOCS}/rest/repos/repos#list-repository-contributors",
    "/releases/latest": f"{DOCS}/rest/releases/releases#get-the-latest-release",
}
_LICENSES = {
    "MIT": "MIT License",
    "BSD-3-Clause": 'BSD 3-Clause "New" or "Revised" License',
    "Apache-2.0": "Apache License 2.0",
    "GPL-2.0": "GNU General Public License v2.0",
    "GPL-3.0": "GNU General Public License v3.0",
    "LGPL-2.1": "GNU Lesser General Public License v2.1",
}


class Asked(NamedTuple):
    """A request: the path below the API's address, that address, and what else counts."""

    path: str
    query: str
    base: str
    client: str
    if_none_match: str = ""


class GitHubRest:
    """Answers from the truth about the repositories; each answer but a free 304 costs one request."""

    def __init__(self, repositories: Repositories, limits: GitHubLimits, watch: Watch) -> None:
        self._repositories = repositories
        self._limits = limits
        self._watch = watch

    def answer(self, asked: Asked) -> Answer:
        """The answer to a GET."""
        client = asked.client
        if asked.path == "/rate_limit":
            return self._finished(asked, _json(self._rates(client)))
        refusal = self._limits.refusal("core", client, self._watch)
        if refusal:
            return refusal
        answer = self._truth(asked)
        tag = f"W/{etag(answer.body)}" if isinstance(answer.body, bytes) and answer.status == 200 else ""
        given = [one.strip().removeprefix("W/") for one in asked.if_none_match.split(",")]
        known = bool(tag) and tag.removeprefix("W/") in given
        # Only those who say who they are get "unchanged" for nothing.
        free = known and client != ANONYMOUS
        self._limits.spend("core", client, 0 if free else 1, self._watch)
        if known:
            answer = Answer(b"", JSON, 304, headers=answer.headers)
        return self._finished(asked, answer, {"ETag": tag} if tag else {})

    def _finished(self, asked: Asked, answer: Answer, more: dict[str, str] | None = None) -> Answer:
        headers = {
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "X-GitHub-Media-Type": "github.v3; format=json",
            **self._limits.headers("core", asked.client),
            **answer.headers,
            **(more or {}),
        }
        return Answer(answer.body, JSON, answer.status, vary=_VARY, headers=headers)

    def _rates(self, client: str) -> dict[str, Any]:
        core = self._limits.state("core", client)
        return {"resources": {"core": core, "graphql": self._limits.state("graphql", client)}, "rate": core}

    def _truth(self, asked: Asked) -> Answer:
        match = _PATH.match(asked.path)
        if match is None:
            return _message(404, "Not Found", f"{DOCS}/rest")
        part = match["part"]
        by_name = match["name"]
        found = self._repositories.find(by_name) if by_name else self._repositories.by_id(int(match["id"]))
        if found is None or found.state == "deleted":
            return _message(404, "Not Found", _DOCUMENTATION[part])
        if found.state:
            return _blocked(found)
        if by_name and by_name.lower() != found.full_name.lower():
            query = f"?{asked.query}" if asked.query else ""
            return _moved(f"{asked.base}/repositories/{found.id}{part or ''}{query}")
        if part == "/contributors":
            return _contributors(found, asked)
        if part == "/releases/latest":
            if found.tag is None:
                return _message(404, "Not Found", _DOCUMENTATION[part])
            return _json(_release(found, asked.base))
        return _json(document(found, asked.base))


def document(repository: Repository, base: str) -> dict[str, Any]:
    """A repository as `GET /repos/OWNER/NAME` shows it."""
    url = f"{base}/repos/{repository.full_name}"
    page = f"https://github.com/{repository.full_name}"
    shown: dict[str, Any] = {
        "id": repository.id,
        "node_id": repository.node_id,
        "name": repository.name,
        "full_name": repository.full_name,
        "private": False,
        "owner": _account(repository.owner, repository.id, base, "Organization"),
        "html_url": page,
        "description": repository.description,
        "fork": repository.parent is not None,
        "url": url,
        "contributors_url": f"{url}/contributors",
        "releases_url": f"{url}/releases{{/id}}",
        "created_at": moment(repository.created),
        "updated_at": moment(repository.updated),
        "pushed_at": moment(repository.pushed),
        "git_url": f"git://github.com/{repository.full_name}.git",
        "clone_url": f"{page}.git",
        "homepage": repository.homepage,
        "size": 0 if repository.empty else 10 + repository.stars,
        "stargazers_count": repository.stars,
        "watchers_count": repository.stars,
        "language": repository.language,
        "has_issues": True,
        "has_wiki": True,
        "forks_count": repository.forks,
        "mirror_url": None,
        "archived": repository.archived is not None,
        "disabled": repository.disabled,
        "open_issues_count": repository.issues + repository.pulls,
        "license": license_of(repository, base),
        "is_template": False,
        "topics": list(repository.topics),
        "visibility": "public",
        "forks": repository.forks,
        "open_issues": repository.issues + repository.pulls,
        "watchers": repository.stars,
        "default_branch": repository.branch,
        "network_count": repository.forks,
        "subscribers_count": repository.watchers,
    }
    if repository.parent:
        owner, _, name = repository.parent.partition("/")
        shown["parent"] = shown["source"] = {
            "name": name,
            "full_name": repository.parent,
            "owner": {"login": owner},
            "html_url": f"https://github.com/{repository.parent}",
            "fork": False,
        }
    return shown


def license_of(repository: Repository, base: str) -> dict[str, Any] | None:
    """The licence in REST's words."""
    spdx = repository.license
    if spdx is None:
        return None
    if spdx == "NOASSERTION":
        return {"key": "other", "name": "Other", "spdx_id": spdx, "url": None}
    key = spdx.lower()
    return {"key": key, "name": _LICENSES.get(spdx, spdx), "spdx_id": spdx, "url": f"{base}/licenses/{key}"}


def moment(seconds: int) -> str:
    """A time as GitHub writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _account(login: str, number: int, base: str, kind: str) -> dict[str, Any]:
    return {
        "login": login,
        "id": number,
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "html_url": f"https://github.com/{login}",
        "url": f"{base}/users/{login}",
        "type": kind,
        "site_admin": False,
    }


def _contributors(repository: Repository, asked: Asked) -> Answer:
    """A page of them, most commits first; those without an account only when asked for."""
    if repository.empty:
        return Answer(b"", JSON, 204)
    if repository.too_large:
        message = "The history or contributor list is too large to list contributors via the API."
        return _message(403, message, _DOCUMENTATION["/contributors"])
    values = {name: given[-1] for name, given in parse_qs(asked.query).items()}
    size = min(100, _number(values.get("per_page"), 30))
    page = _number(values.get("page"), 1)
    anonymous = values.get("anon") in ("1", "true")
    total = repository.contributors + (repository.anonymous if anonymous else 0)
    last = -(-total // size)
    shown = []
    for place in range((page - 1) * size, min(page * size, total)):
        person = PEOPLE[Dice(repository.id, place).between(0, len(PEOPLE) - 1)]
        commits = {"contributions": max(1, 400 // (place + 1) ** 2)}
        if place < repository.contributors:
            login = f"{person.encode('ascii', 'ignore').decode().lower()}-{repository.id}-{place}"
            shown.append(_account(login, repository.id + place, asked.base, "User") | commits)
        else:
            shown.append({"email": f"{place}@example.org", "name": person, "type": "Anonymous"} | commits)
    where = f"{asked.base}/repositories/{repository.id}/contributors"
    links = []
    for relation, number in (("prev", page - 1), ("next", page + 1), ("last", last), ("first", 1)):
        wanted = page > 1 if relation in ("prev", "first") else page < last
        if wanted:
            links.append(f'<{where}?{urlencode({**values, "page": number})}>; rel="{relation}"')
    answer = _json(shown)
    return Answer(answer.body, JSON, headers={"Link": ", ".join(links)} if links else {})


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and 0 < int(text) < 10**9 else otherwise


def _release(repository: Repository, base: str) -> dict[str, Any]:
    return {
        "id": repository.id * 10,
        "url": f"{base}/repos/{repository.full_name}/releases/{repository.id * 10}",
        "html_url": f"https://github.com/{repository.full_name}/releases/tag/{repository.tag}",
        "tag_name": repository.tag,
        "target_commitish": repository.branch,
        "name": repository.tag,
        "draft": False,
        "prerelease": False,
        "created_at": moment(repository.released),
        "published_at": moment(repository.released),
        "body": "",
    }


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), JSON, status)


def _message(status: int, message: str, documentation: str) -> Answer:
    return _json({"message": message, "documentation_url": documentation, "status": str(status)}, status)


def _moved(location: str) -> Answer:
    body = {
        "message": "Moved Permanently",
        "url": location,
        "documentation_url": f"{DOCS}/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
    }
    return Answer(_json(body).body, JSON, 301, headers={"Location": location})


def _blocked(repository: Repository) -> Answer:
    tos = repository.state == "tos"
    page = "https://github.com/tos" if tos else "https://github.com/github/dmca/blob/master/replica.md"
    block = {"reason": repository.state, "created_at": moment(repository.blocked), "html_url": page}
    return _json({"message": "Repository access blocked", "block": block}, 403 if tos else 451)
