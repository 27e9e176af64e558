"""docs/api.md: whoever copies an example gets what the page shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from pyf_scrapy.web.api import MAX_BODY, router
from pyf_scrapy.web.filters import Filters
from pyf_scrapy.web.security import MAX_TARGET
from tests.web.filling import Filled

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BASE = "http://127.0.0.1:8000"
#: Each example, with the JSON that the page shows of its answer.
EXAMPLES = re.findall(r"^    (curl .*)\n(?:\n```json\n([^`]*)```)?", TEXT, re.MULTILINE)


def is_like(shown: Any, answered: Any) -> bool:
    """Whether an answer has all that is shown of it; a cursor may be another one."""
    if isinstance(shown, dict):
        return isinstance(answered, dict) and all(
            key in answered
            and (is_like(value, answered[key]) if key != "next" else type(value) is type(answered[key]))
            for key, value in shown.items()
        )
    if isinstance(shown, list):
        return len(shown) == len(answered) and all(map(is_like, shown, answered))
    return bool(shown == answered)


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command[-40:] for command, _ in EXAMPLES])
async def test_an_example_answers_what_the_page_shows(served: Filled, command: str, shown: str) -> None:
    words = shlex.split(command)
    headers = {}
    body = None
    while len(words) > 1:
        word = words.pop(1)
        if word == "-H":
            name, _, value = words.pop(1).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(1)
        elif word != "-s":
            url = word.removeprefix(BASE)
    async with served.client() as client:
        answer = await client.request("GET" if body is None else "POST", url, headers=headers, content=body)
    assert answer.status_code == 200, answer.text
    if "packages?" in url:
        assert answer.json()["packages"], "an example that finds nothing shows nothing"
    if shown:
        assert is_like(json.loads(shown), answer.json()), answer.text


def rows(header: str) -> set[str]:
    """The first cells of a table."""
    table = TEXT.partition(f"| {header} |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))


def test_the_page_names_every_path_and_every_parameter() -> None:
    prefix = router.prefix
    paths = {route.path.removeprefix(prefix) for route in router.routes if hasattr(route, "path")}
    assert rows("path below `/api/v1`") == paths - {"/openapi.json"}
    assert rows("parameter") == set(Filters.model_fields)


def test_the_page_names_the_limits() -> None:
    assert f"a look-up {MAX_BODY:,} bytes, an address {MAX_TARGET:,}" in TEXT.replace("\n", " ")
