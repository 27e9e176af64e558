"""Whatever stands in Redis, a message is a name of a project or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from pyf_scrapy.exceptions import ParseError
from pyf_scrapy.queue.messages import LONGEST, Message, decode, encode


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"name": "Plone.API"}', Message("plone-api")),
        (b'{"name": "zope", "serial": 12, "who": "rss"}', Message("zope", 12)),
        (b'{"name": "zope", "serial": null, "unlisted": 3}', Message("zope", None, 3)),
        (b'{"name": "zope", "version": "5.0"}', Message("zope", version="5.0")),
    ],
)
def test_a_name_and_what_is_known_of_it(data: bytes, message: Message) -> None:
    assert decode(data) == message
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"[]", b"null", b"zope", b'"zope"', b'{"name": null}', b'{"name": ""}'),
        *(
            b'{"name": "../x"}',
            b'{"name": "a b"}',
            b'{"name": "a/b"}',
            b'{"name": "-x"}',
            b'{"name": "\xff"}',
        ),
        *(b'{"name": "x", "serial": "1"}', b'{"name": "x", "serial": -5}', b'{"name": "x", "serial": 1e99}'),
        b'{"name": "x"' + b" " * LONGEST + b"}",
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(ParseError):
        decode(data)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f'{{"name": "{text}"}}'.encode()))
def test_nothing_breaks_the_reader(data: bytes) -> None:
    try:
        message = decode(data)
    except ParseError:
        return
    assert message.name == canonicalize_name(message.name, validate=True)
