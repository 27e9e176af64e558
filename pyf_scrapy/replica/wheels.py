"""Wheels that installers can install: of those releases whose event says where their files are."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_LONG_AGO = (2020, 2, 2, 0, 0, 0)


@lru_cache(maxsize=64)
def wheel(
    name: str, stem: str, version: str, requires_python: str | None, requires_dist: tuple[str, ...]
) -> bytes:
    """A pure-Python wheel with one module, `stem`, that knows its version; the same bytes each time."""
    told = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    if requires_python:
        told.append(f"Requires-Python: {requires_python}\n")
    told += [f"Requires-Dist: {requirement}\n" for requirement in requires_dist]
    folder = f"{stem}-{version}.dist-info"
    files = {
        f"{stem}/__init__.py": f'__version__ = "{version}"\n',
        f"{folder}/METADATA": "".join(told),
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: pyf_scrapy\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in files.items())
    files[f"{folder}/RECORD"] = f"{record}{folder}/RECORD,,\n"
    body = BytesIO()
    with ZipFile(body, "w", ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(ZipInfo(path, _LONG_AGO), text)
    return body.getvalue()


def _digest(text: str) -> str:
    return f"sha256={urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip('=')}"
