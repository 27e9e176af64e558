"""What tells that a package is documented: how much text, which links, which screenshots.

Nothing is fetched: links are judged by their address, images by their HTML attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pyf_scrapy.metadata.descriptions import Description
from pyf_scrapy.metadata.labels import is_documentation, is_homepage
from pyf_scrapy.parsers.project_json import Metadata

SCREENSHOT_WIDTH = 200  # pixels; narrower images are decoration
SCREENSHOT_SHARE = 25  # per cent of the page, which is about 800 pixels wide

_MAX_URL = 2048  # characters
_MAX_SOURCE = 200_000  # characters of a README that are looked at when it could not be rendered
_HOST = re.compile(r"(?:[\w-]+\.)+[^\W\d_][\w-]*")
_CODE_HOSTS = {"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht"}
_PYPI_HOSTS = {"pypi.org", "test.pypi.org", "pypi.python.org", "pypi.io"}
_ATTRIBUTE = re.compile(r'\s+([a-z-]+)(?:="([^"]*)")?')
_WIDTH = re.compile(r"\s*([0-9]{1,5})(?:\.[0-9]*)?\s*(px|%)?\s*")
_RASTER_IMAGE = re.compile(
    r"\.(?:png|jpe?g|gif|webp|avif)(?:[?#]|$)|^https://github\.com/user-attachments/assets/"
)
_DECORATION = re.compile(
    r"badge|shields\.io|travis-ci|circleci|appveyor|codecov|coveralls|codacy|codeclimate|landscape\.io|scrutinizer"
    r"|requires\.io|gemnasium|pyup\.io|snyk\.io|pepy\.tech|pypip\.in|zenodo\.org|gitter|build.?status|status\.png"
    r"|donat|sponsor|paypal|patreon|opencollective|ko-fi|buymeacoffee|avatar"
    r"|logos?(?![a-z])|(?<![a-z])(?:fav)?icons?(?![a-z])"
)


def text_size(metadata: Metadata, description: Description | None) -> tuple[int, int]:
    """Return how many characters the description has, and how many words before its changelog.

    Both are counted on plain text, runs of blanks as one. A description that could not be rendered (None)
    is judged by its source: that the renderer failed does not mean that there is no text.
    """
    if description is None:
        words = (metadata.description or "")[:_MAX_SOURCE].split()
        return len(" ".join(words)), len(words)
    body = f"{description.first_chapter} {description.main_content}".split()
    whole = f"{description.title} {description.changelog}".split() + body
    return len(" ".join(whole)), len(body)


def documentation_link(metadata: Metadata) -> str:
    """Return the link to documentation, by `docs_url` or by a label of `project_urls`; "" for none."""
    labelled = (url for label, url in (metadata.project_urls or {}).items() if is_documentation(label))
    return next(filter(_is_website, (metadata.docs_url or "", *labelled)), "")


def homepage(metadata: Metadata) -> str:
    """Return the home page that is a site of its own, not the repository; "" for none."""
    labelled = (url for label, url in (metadata.project_urls or {}).items() if is_homepage(label))
    pages = (metadata.home_page or "", *labelled)
    return next((url for url in pages if _is_website(url, code_hosts=False)), "")


def screenshot(html: str) -> str:
    """Return the address of the first image of sanitised HTML that is more than decoration; "" for none.

    It is one when its address is http(s), neither address nor text names a badge, logo or the like, and its
    stated width is enough; without a stated width, when it is a raster image by its file name (badges are
    mostly SVG) or was uploaded to GitHub for the README.
    """
    return next((image["src"].strip() for image in _images(html) if _is_screenshot(image)), "")


def _is_website(url: str, *, code_hosts: bool = True) -> bool:
    """Tell whether a URL leads to a page that says more than PyPI's and the repository's front page do.

    With `code_hosts`, pages inside a repository (wiki, folder of documents) are accepted.
    """
    if len(url) > _MAX_URL:
        return False
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host) or host in _PYPI_HOSTS:
        return False
    path = [segment for segment in parts.path.split("/") if segment]
    if host.startswith("gitlab."):  # groups nest; "-" begins what is not a folder of the group
        return code_hosts and "-" in path
    if host in _CODE_HOSTS:
        return code_hosts and len(path) > 2
    return True


def _images(html: str) -> Iterator[dict[str, str]]:
    """Yield the attributes of each image, in time linear in the length of the HTML."""
    position = html.find("<img")
    while position != -1:
        position += len("<img")
        attributes: dict[str, str] = {}
        while match := _ATTRIBUTE.match(html, position):
            attributes[match[1]] = match[2] or ""
            position = match.end()
        yield attributes
        position = html.find("<img", position)


def _is_screenshot(attributes: dict[str, str]) -> bool:
    source = attributes.get("src", "").strip().lower()
    if not source.startswith(("http://", "https://")):
        return False
    if _DECORATION.search(source) or _DECORATION.search(attributes.get("alt", "").lower()):
        return False
    width = _WIDTH.fullmatch(attributes.get("width", ""))
    if width is None:
        return _RASTER_IMAGE.search(source) is not None
    return int(width[1]) >= (SCREENSHOT_SHARE if width[2] == "%" else SCREENSHOT_WIDTH)
