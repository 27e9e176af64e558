"""Finds repositories of a replica that are as a test needs them."""

from __future__ import annotations

from collections.abc import Callable

from pyf_scrapy.replica import Handle
from pyf_scrapy.replica.repositories import Repository
from pyf_scrapy.replica.truth import Project


def pairs(handle: Handle) -> list[tuple[Project, Repository]]:
    """All projects with the repositories that they name."""
    found = []
    for name in handle.replica.names():
        project = handle.replica.project(name)
        repository = handle.replica.repositories.of_project(name)
        assert project is not None
        assert repository is not None
        found.append((project, repository))
    return found


def some_repository(handle: Handle, fits: Callable[[Repository], bool] = lambda _: True) -> Repository:
    """One that can be asked for by the name in its project's metadata."""
    for project, repository in pairs(handle):
        plain = not repository.state and repository.full_name == project.repository
        if plain and not repository.empty and not repository.too_large and fits(repository):
            return repository
    raise AssertionError("no such repository")
