"""One package for programs: its latest release, and what its page shows besides."""

from __future__ import annotations

from typing import Any

from pyf_scrapy.parsers.records import Vulnerability
from pyf_scrapy.search.cleaning import url
from pyf_scrapy.web.api_documents import DOCUMENT_FIELDS
from pyf_scrapy.web.listing import shown
from pyf_scrapy.web.packages import Dependency, Dependent, Known


def package_detail(known: Known) -> dict[str, Any]:
    """The answer of the API; what is not known is absent."""
    details = {
        **shown(known.latest, DOCUMENT_FIELDS),
        "roles": [{"role": role.role, "user": role.user} for role in known.roles],
        "advisories": [_advisory(one) for one in known.vulnerabilities],
        "dependencies": [_dependency(one) for one in known.dependencies],
        "dependents_found": known.dependents_found,
        "dependents": [_dependent(one) for one in known.dependents],
    }
    if known.repository_at is not None:
        details["repository_fetched_at"] = known.repository_at
    return details


def _advisory(known: Vulnerability) -> dict[str, Any]:
    said = {"id": known.id, "summary": known.summary, "link": url(known.link)}
    return {name: value for name, value in said.items() if value} | {
        "aliases": list(known.aliases),
        "fixed_in": list(known.fixed_in),
    }


def _dependency(one: Dependency) -> dict[str, Any]:
    names = {"name": one.name, "name_normalized": one.normalized_name} if one.normalized_name else {}
    return {"requirement": one.text, **names, "extra": one.extra, "in_profile": one.is_known}


def _dependent(one: Dependent) -> dict[str, Any]:
    return {
        **shown(one.row.shown, ("name", "name_normalized", "summary", "health_score")),
        "requirements": list(one.requirements),
    }
