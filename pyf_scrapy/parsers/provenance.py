"""Who published a file, by PyPI's integrity API (PEP 740): proof that a package is made in a repository.

PyPI verified the attestations when the file was uploaded; that is trusted here, not verified again.
https://docs.pypi.org/api/integrity/ and https://peps.python.org/pep-0740/
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.parsers import wire
from pyf_scrapy.parsers.wire import NULL

Raw = msgspec.Raw

_PROVENANCE: Final = "provenance"
_VERSION: Final = 1
_MAX_REPOSITORY: Final = 500  # characters; GitLab has groups in groups
#: "owner/name", or a path of groups and a project.
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+")


class Publisher(msgspec.Struct, frozen=True):
    """A trusted publisher that attested a file."""

    kind: str  # "GitHub", "GitLab", "Google", ...
    repository: str | None = None  # "owner/name" on that service; None for those without, or when it is none
    workflow: str | None = None  # file name (GitHub) or path (GitLab)
    environment: str | None = None


class _Answer(msgspec.Struct):
    version: Raw = NULL
    attestation_bundles: Raw = NULL


class _Bundle(msgspec.Struct):
    publisher: Raw = NULL


class _Publisher(msgspec.Struct):
    kind: Raw = NULL
    repository: Raw = NULL
    workflow: Raw = NULL
    workflow_filepath: Raw = NULL
    environment: Raw = NULL


_answer: Final = msgspec.json.Decoder(_Answer)
_bundles: Final = msgspec.json.Decoder(list[_Bundle])
_publisher: Final = msgspec.json.Decoder(_Publisher | None)


def parse_provenance(body: bytes) -> tuple[Publisher, ...]:
    """Read the answer of /integrity/NAME/VERSION/FILENAME/provenance: each publisher once, as listed.

    A publisher without a kind is left out. Raises ParseError only; also for another version of the format,
    for what it says would be taken for proof.
    """
    with wire.parsing(_PROVENANCE):
        answer = _answer.decode(body)
        if (version := wire.count(answer.version)) != _VERSION:
            raise ParseError(_PROVENANCE, f"version {version} is not understood")
        bundles = wire.required(_PROVENANCE, "attestation_bundles", _bundles, answer.attestation_bundles)
        publishers = (wire.optional(_publisher, bundle.publisher) for bundle in bundles)
        found = (_read(publisher) for publisher in publishers if publisher is not None)
        return tuple(dict.fromkeys(publisher for publisher in found if publisher is not None))


def _read(publisher: _Publisher) -> Publisher | None:
    kind = wire.text(publisher.kind)
    repository = wire.text(publisher.repository)
    if kind is None:
        return None
    if repository is not None and (
        len(repository) > _MAX_REPOSITORY or not _REPOSITORY.fullmatch(repository)
    ):
        repository = None
    return Publisher(
        kind=kind,
        repository=repository,
        workflow=wire.text(publisher.workflow) or wire.text(publisher.workflow_filepath),
        environment=wire.text(publisher.environment),
    )
