"""Which repository an address leads to, whatever form a person wrote it in. Nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

GITHUB: Final = "github.com"

_MAX_ADDRESS = 2048  # characters
_MAX_SUBGROUPS = 20  # GitLab's limit

# What stands around and between addresses in running text, Markdown and lists; in none of their names.
_BETWEEN = re.compile(r"[\s,;|<>()\[\]{}\"'`*]+")
_ADDRESS = re.compile(
    r"(?P<scheme>(?:[A-Za-z][A-Za-z0-9+-]*:)*/+|https?(?::|(?=/))/*)?"  # also "scm:git:https://", "https:"
    r"(?:[^/?#]*@)?"  # user and password
    r"(?P<host>[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]+)(?=/))?"
    r"[/:]+(?P<path>[^?#@]*)"  # what follows "@" is pip's revision
)
_NOT_OF_THE_NAME = re.compile(r"(?:\.|\.git)+$", re.IGNORECASE | re.ASCII)

# GitHub's rules, for what users and organizations, and what repositories may be called.
_GITHUB_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")

# First parts of paths that are pages of the service; no user can have these names.
_GITHUB_PAGES: Final = {
    *("about", "account", "apps", "blog", "codespaces", "collections", "contact", "copilot"),
    *("customer-stories", "dashboard", "discussions", "downloads", "enterprise", "events", "explore"),
    *("features", "gist", "git-guides", "github-copilot", "home", "issues", "join", "login", "logout"),
    *("logos", "marketplace", "mobile", "new", "notifications", "open-source", "organizations", "orgs"),
    *("partners", "plans", "premium-support", "pricing", "pulls", "readme", "resources", "search"),
    *("security", "sessions", "settings", "signup", "site", "solutions", "sponsors", "stars", "status"),
    *("support", "team", "teams", "topics", "trending", "users", "watching", "why-github"),
}
_GITLAB_PAGES: Final = {
    *("-", "admin", "api", "assets", "dashboard", "explore", "groups", "help", "import", "login"),
    *("oauth", "profile", "projects", "public", "search", "snippets", "uploads", "users", "v2"),
}
_CODEBERG_PAGES: Final = {
    *("-", "admin", "api", "assets", "attachments", "avatar", "avatars", "explore", "issues", "login"),
    *("milestones", "notifications", "org", "pulls", "repo", "user", "users"),
}
_BITBUCKET_PAGES: Final = {
    *("account", "api", "blog", "dashboard", "product", "repo", "site", "snippets", "support"),
    *("workspaces",),
}
# Pages of a GitLab project, from when they were not behind "/-/"; few of these can be names of projects.
_GITLAB_PROJECT_PAGES: Final = {
    *("-", "activity", "archive", "badges", "blame", "blob", "branches", "builds", "commit", "commits"),
    *("compare", "find_file", "graphs", "issues", "merge_requests", "pipelines", "raw", "refs"),
    *("releases", "tags", "tree", "wikis"),
}


class Repository(msgspec.Struct, frozen=True):
    """A repository at a forge, as its address was written. On GitLab `owner` may be "group/subgroup"."""

    host: str  # "github.com", "gitlab.com", "codeberg.org" or "bitbucket.org"
    owner: str
    name: str

    @property
    def key(self) -> str:
        """What two addresses of one repository have in common: "github.com/owner/name" in lower case."""
        return f"{self.host}/{self.owner}/{self.name}".lower()

    @property
    def url(self) -> str:
        """Its page, as written but for what is not of the name: "https://github.com/Owner/Name"."""
        return f"https://{self.host}/{self.owner}/{self.name}"

    @property
    def is_github(self) -> bool:
        """Whether GitHub can be asked about it."""
        return self.host == GITHUB


def repository_of(address: str) -> Repository | None:
    """Return the repository that an address leads to, at any page of it, or None if it leads to none.

    Understood are addresses of the web, of git (also "git@host:owner/name") and of pip ("git+https://...@tag"),
    without scheme, with `www.`, port, user and password, doubled slashes, and within text, where the first
    repository counts. Pages of users, organizations and sponsors, and gists, are none. Neither are pages of
    OWNER.github.io/NAME: any repository of the owner may publish there, so that NAME would be a guess.
    Never raises; the time is linear in the length, and of texts beyond 2,048 characters nothing is read.
    """
    for host, path in _addresses(address):
        found = _FORGES[host](path) if host in _FORGES else None
        if found is not None:
            return found
    return None


def is_on_github(address: str) -> bool:
    """Tell whether an address leads to github.com at all, to a repository or not. Never raises."""
    return any(host == GITHUB for host, _ in _addresses(address))


def _addresses(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the host (lower case, without `www.`) and the path's parts of all that looks like an address."""
    if len(text) > _MAX_ADDRESS:
        return
    for word in _BETWEEN.split(text.replace("\\", "/")):
        match = _ADDRESS.match(word.rstrip(".:!"))
        if match is None:
            continue
        path = [part for part in match["path"].split("/") if part]
        # In "git@github.com:123/name" 123 is an owner: a number is a port if there is more, or a scheme.
        if match["port"] and match["scheme"] is None and len(path) == 1:
            path.insert(0, match["port"])
        yield match["host"].lower().rstrip(".").removeprefix("www."), path


def _own_name(part: str) -> str:
    """Without ".git" and full stops at its end; GitHub allows no name that ends with ".git"."""
    return _NOT_OF_THE_NAME.sub("", part)


def _named(host: str, owner: str, part: str, owners: re.Pattern[str]) -> Repository | None:
    name = _own_name(part)
    return Repository(host, owner, name) if owners.fullmatch(owner) and _NAME.fullmatch(name) else None


def _on_github(path: list[str]) -> Repository | None:
    if len(path) < 2 or path[0].lower() in _GITHUB_PAGES:
        return None
    return _named(GITHUB, path[0], path[1], _GITHUB_OWNER)


def _in_github_api(path: list[str]) -> Repository | None:
    return _on_github(path[1:]) if path[:1] == ["repos"] else None


def _on_gitlab(path: list[str]) -> Repository | None:
    """Groups nest: the name is the last part before the project's pages begin."""
    parts = [name for part in path if (name := _own_name(part))]
    end = next((n for n, part in enumerate(parts) if n > 1 and part in _GITLAB_PROJECT_PAGES), len(parts))
    *groups, name = parts[:end] or [""]
    if not groups or len(groups) > _MAX_SUBGROUPS or groups[0].lower() in _GITLAB_PAGES:
        return None
    if not all(_OWNER.fullmatch(part) for part in (*groups, name)):
        return None
    return Repository("gitlab.com", "/".join(groups), name)


def _flat(host: str, pages: set[str]) -> Callable[[list[str]], Repository | None]:
    """Return the reader of a forge whose repositories are OWNER/NAME."""

    def read(path: list[str]) -> Repository | None:
        if len(path) < 2 or path[0].lower() in pages:
            return None
        return _named(host, path[0], path[1], _OWNER)

    return read


_FORGES: Final[dict[str, Callable[[list[str]], Repository | None]]] = {
    GITHUB: _on_github,
    "ssh.github.com": _on_github,
    "raw.github.com": _on_github,
    "raw.githubusercontent.com": _on_github,
    "codeload.github.com": _on_github,
    "api.github.com": _in_github_api,
    "gitlab.com": _on_gitlab,
    "codeberg.org": _flat("codeberg.org", _CODEBERG_PAGES),
    "bitbucket.org": _flat("bitbucket.org", _BITBUCKET_PAGES),
}
