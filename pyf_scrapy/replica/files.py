"""The files of a release, in the words of the project JSON and of the Simple API."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from statistics import NormalDist
from typing import Any, NamedTuple

from pyf_scrapy.replica.truth import Project, Release
from pyf_scrapy.replica.wheels import wheel

FILES_URL = "https://files.pythonhosted.org"
_NORMAL = NormalDist()


class _Kind(NamedTuple):
    packagetype: str
    python_version: str
    ending: str


_KINDS = {
    "sdist": _Kind("sdist", "source", ".tar.gz"),
    "wheel": _Kind("bdist_wheel", "py3", "-py3-none-any.whl"),
    "egg": _Kind("bdist_egg", "2.7", "-py2.7.egg"),
    "wininst": _Kind("bdist_wininst", "any", ".win32.exe"),
    **{
        tag: _Kind("bdist_wheel", tag, f"-{tag}-{tag}-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
        for tag in ("cp311", "cp312", "cp313", "cp314")
    },
}


class ReplicaFile(NamedTuple):
    """One file; `uploaded` in microseconds since 1970 UTC, `metadata_sha256` of its core metadata or None.

    `content`: that of a real one.
    """

    filename: str
    packagetype: str
    python_version: str
    size: int
    uploaded: int
    md5: str
    sha256: str
    blake2b_256: str
    metadata_sha256: str | None
    at: str = FILES_URL
    content: bytes | None = None

    @property
    def path(self) -> str:
        """Where it is at its host."""
        digest = self.blake2b_256
        return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"

    @property
    def url(self) -> str:
        """Where PyPI would keep the file, or where the replica serves it."""
        return self.at.rstrip("/") + self.path

    @property
    def moment(self) -> str:
        """Naive ISO time; without a fraction when there is none, as PyPI writes it."""
        second, micro = divmod(self.uploaded, 1_000_000)
        return datetime.fromtimestamp(second, UTC).replace(tzinfo=None, microsecond=micro).isoformat()


def files_of(seed: int, project: Project, release: Release) -> list[ReplicaFile]:
    """The files of one release, by filename as PyPI lists them."""
    if not release.kinds:
        return []
    modern = release.uploaded > 1_700_000_000_000_000
    stem = project.normalized_name.replace("-", "_")
    # A version that is published again is another upload: its bytes are others.
    upload = f"/{release.serial}" if release.serial else ""
    files = []
    for place, name in enumerate(release.kinds):
        kind = _KINDS[name]
        first = stem if modern or kind.packagetype == "bdist_wheel" else project.name
        filename = f"{first}-{release.version.replace('-', '_')}{kind.ending}"
        digest = blake2b(f"{seed}/{filename}{upload}".encode(), digest_size=64).hexdigest()
        file = ReplicaFile(
            filename,
            kind.packagetype,
            kind.python_version,
            _size(digest),
            release.uploaded + place * 1_731_017,
            digest[:32],
            digest[32:96],
            digest[64:] + digest[:32],
            digest[16:80] if modern and kind.packagetype == "bdist_wheel" else None,
        )
        files.append(_real(file, project, release, stem) if release.files and name == "wheel" else file)
    return sorted(files, key=lambda file: file.filename)


def file_at(seed: int, project: Project, path: str) -> bytes | None:
    """The content of the file at a path; None where the replica has none."""
    for release in project.releases:
        if release.files:
            for file in files_of(seed, project, release):
                if file.path == path:
                    return file.content
    return None


def _real(file: ReplicaFile, project: Project, release: Release, stem: str) -> ReplicaFile:
    """The file with a content, and what follows from that."""
    required = tuple(release.info.get("requires_dist") or ())
    content = wheel(project.name, stem, release.version, release.requires_python, required)
    return file._replace(
        size=len(content),
        sha256=sha256(content).hexdigest(),
        metadata_sha256=None,
        at=release.files or FILES_URL,
        content=content,
    )


def _size(digest: str) -> int:
    """Bytes of a file: half below 60 kB, a few above 100 MB. Drawn from its digest, which saves dice."""
    return 900 + int(59_000 * math.exp(1.9 * _NORMAL.inv_cdf((int(digest[:8], 16) + 1) / 0x1_0000_0001)))


def json_file(file: ReplicaFile, release: Release) -> dict[str, Any]:
    """A file as in the project JSON (warehouse, legacy/api/json.py); yank and Python are the release's."""
    moment = file.moment
    return {
        "comment_text": None if file.uploaded > 1_600_000_000_000_000 else "",
        "core-metadata": {"sha256": file.metadata_sha256} if file.metadata_sha256 else False,
        "digests": {"blake2b_256": file.blake2b_256, "md5": file.md5, "sha256": file.sha256},
        "downloads": -1,
        "filename": file.filename,
        "has_sig": False,
        "md5_digest": file.md5,
        "packagetype": file.packagetype,
        "python_version": file.python_version,
        "requires_python": release.requires_python,
        "size": file.size,
        "upload_time": moment[:19],
        "upload_time_iso_8601": moment + "Z",
        "url": file.url,
        "yanked": release.yanked,
        "yanked_reason": release.yanked_reason,
    }


def simple_file(file: ReplicaFile, release: Release) -> dict[str, Any]:
    """A file as in the Simple API (PEP 691, 700, 714, 740)."""
    metadata = {"sha256": file.metadata_sha256} if file.metadata_sha256 else False
    return {
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "filename": file.filename,
        "hashes": {"sha256": file.sha256},
        "provenance": None,
        "requires-python": release.requires_python or None,
        "size": file.size,
        "upload-time": file.moment + "Z",
        "url": file.url,
        "yanked": (release.yanked_reason or True) if release.yanked else False,
    }
