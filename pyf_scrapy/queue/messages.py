"""What is written to the queue for workers: a project's name, and what is known about it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from packaging.utils import InvalidName, canonicalize_name

from pyf_scrapy.exceptions import ParseError

#: Longer ones are no messages; PyPI's longest name has 100 characters.
LONGEST: Final = 2_000  # bytes

_Serial = Annotated[int, msgspec.Meta(ge=-1, le=2**62)]


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One project to fetch, as JSON: `{"name": "plone.api", "serial": 123}`.

    `serial` is what an index promises, `version` what a feed does: an answer without that is asked for again.
    `announced`: a feed names it, so that a 404 is too early, not the truth. `unlisted` is the stored serial
    of a package that the index lacks. `queued`: it waits in the store's queue until it is dealt with.
    Other keys are ignored, so that others may write what they like.
    """

    name: str
    serial: _Serial | None = None
    unlisted: _Serial | None = None
    version: str | None = None
    announced: bool = False
    queued: bool = False


class Covers(msgspec.Struct, frozen=True):
    """What a worker fills: collections of a store. The work of another store is none of its business."""

    store: str
    collections: frozenset[str] = frozenset()

    def are_enough_for(self, wanted: Covers) -> bool:
        """Whether a name that is wanted there may be given to such a worker."""
        return self.store == wanted.store and self.collections >= wanted.collections


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """The message as JSON."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """A message, its name normalized. Raises ParseError for what is none, however hostile."""
    if len(data) > LONGEST:
        raise ParseError("message", f"has {len(data):,} bytes")
    try:
        message = _decoder.decode(data)
        name = canonicalize_name(message.name, validate=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError("message", str(error)) from None
    except InvalidName:
        raise ParseError("message", f"{message.name[:80]!r} is no name of a project") from None
    return msgspec.structs.replace(message, name=name)


def encode_covers(covers: Covers) -> bytes:
    """As a worker says it."""
    return msgspec.json.encode(covers)


def decode_covers(data: bytes | str) -> Covers:
    """What a worker says of itself; of what nobody understands nothing."""
    try:
        return msgspec.json.decode(data, type=Covers)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Covers("")
