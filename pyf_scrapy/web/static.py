"""The files that pages load: read once from the package; browsers keep them while they are the same."""

from __future__ import annotations

import hashlib
from importlib import resources

from fastapi import APIRouter, Response

from pyf_scrapy.exceptions import NotFoundError

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

_FILES = {
    file.name: file.read_bytes()
    for file in (resources.files(__package__) / "static").iterdir()
    if file.name.rpartition(".")[2] in _TYPES
}
#: Changes with any of the files: it is in their addresses.
VERSION = hashlib.sha256(b"".join(_FILES[name] for name in sorted(_FILES))).hexdigest()[:12]

router = APIRouter(include_in_schema=False)


def address(name: str) -> str:
    """The path of a static file, the same one for as long as the file is."""
    return f"/static/{VERSION}/{name}"


@router.get("/static/{version}/{name}")
def static_file(version: str, name: str) -> Response:
    """One file. Another version is answered with the present one, but not to be kept."""
    if name not in _FILES:
        raise NotFoundError("there is no such file")
    keep = "public, max-age=31536000, immutable" if version == VERSION else "no-cache"
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(_FILES[name], media_type=kind, headers={"cache-control": keep})
