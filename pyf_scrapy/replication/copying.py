"""The lines of a source, written to a store that is its copy: a page is one transaction, with its cursor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pyf_scrapy.exceptions import ReplicationError, UsageProblem
from pyf_scrapy.replication.lines import (
    MAX_PAGE_BYTES,
    MAX_PAGE_LINES,
    EventLine,
    Gone,
    Head,
    PageEnd,
    TooLarge,
    decode,
)
from pyf_scrapy.store import Event, Store
from pyf_scrapy.store.copies import CopiedProject, CopyPage, CopyState


class Received(NamedTuple):
    """What one page brought, and how far the copy is with it. `changed`: packages of which the copy knew
    something else before; `left_out`: those that the source could not send; `done`: there is nothing else at
    the moment."""

    state: CopyState
    projects: int
    gone: int
    events: int
    changed: int
    left_out: list[TooLarge]
    done: bool


#: The stage of the failures of packages that were left out.
STAGE = "replicate"


def begin_copy(store: Store, source: str, scope: tuple[str, ...] | None, *, anew: bool = False) -> CopyState:
    """What the store is a copy of: what it says, or a new copy when it has no facts yet.

    `anew`: read everything again, and compare. Raises UsageProblem when the store has facts of its own, or is
    a copy of something else.
    """
    state = store.copy_state()
    if state is None:
        if next(store.iter_serials(), None) is not None:
            raise UsageProblem(
                f"{store.locks_at} has facts of its own: give the copy another folder (PYF_DATA_DIR) or "
                "DATABASE_URL"
            )
        state = CopyState(source, "", scope)
        store.save_copy_state(state)
    elif (state.source, state.scope) != (source, scope) and not anew:
        raise UsageProblem(
            f"{store.locks_at} is a copy of {shown_scope(state.scope)} of {state.source}; give the same, "
            "another folder (PYF_DATA_DIR), or --anew to make this one what is given now"
        )
    if anew:
        state = CopyState(source, "", scope)
    return state


def shown_scope(scope: Sequence[str] | None) -> str:
    """In words."""
    return "all facts" if scope is None else f"the profile{'s' * (len(scope) > 1)} {', '.join(scope)}"


def receive(store: Store, state: CopyState, lines: Iterable[bytes]) -> Iterator[Received]:
    """Write the lines of a stream, page by page; lines behind the last whole page are left out.

    Raises ReplicationError for lines that must not be stored, before anything of their page is.
    """
    arriving = iter(lines)
    head = _head(next(arriving, None), store, state)
    fresh = not state.cursor
    state = state._replace(store_id=head.store_id)
    for projects, gone, large, events, end in _pages(arriving):
        state = state._replace(
            cursor=end.cursor,
            done=state.done or end.done,
            at=int(time.time()) if end.done else state.at,
        )
        kept = [line.normalized_name for line in large]
        page = CopyPage(projects, gone, events, end.after, end.until, kept)
        changed = store.receive(page, state, anew=fresh)
        store.clear_failures([*(project.normalized_name for project in projects), *gone], STAGE)
        fresh = False
        yield Received(state, len(projects), len(gone), len(events), changed, large, end.done)


def _head(text: bytes | None, store: Store, state: CopyState) -> Head:
    if text is None:
        raise ReplicationError("the source sent nothing")
    head = decode(text)
    if not isinstance(head, Head):
        raise ReplicationError("the source sent something else than the lines of a store")
    if head.copy_of is not None:
        raise UsageProblem(f"the source is itself a copy: replicate {head.copy_of}")
    if state.store_id not in ("", head.store_id):
        raise ReplicationError("the source is another store than the one that was copied")
    if head.scope != state.scope:
        raise ReplicationError("the source sent other profiles than those that were asked for")
    if head.pypi_url is not None and store.pypi_url != head.pypi_url:
        raise UsageProblem(
            f"the source has the facts of {head.pypi_url}, this folder those of {store.pypi_url}: "
            f"set PYPI_URL={head.pypi_url}"
        )
    return head


_Page = tuple[list[CopiedProject], list[str], list[TooLarge], list[Event], PageEnd]


def _pages(lines: Iterator[bytes]) -> Iterator[_Page]:
    projects: dict[str, CopiedProject] = {}
    gone: list[str] = []
    large: list[TooLarge] = []
    events: list[Event] = []
    count = size = 0
    for text in lines:
        line = decode(text)
        if isinstance(line, PageEnd):
            if line.lines != count:
                raise ReplicationError(f"the source sent {count} lines where it says {line.lines}")
            yield list(projects.values()), gone, large, events, line
            projects, gone, large, events, count, size = {}, [], [], [], 0, 0
            continue
        count += 1
        size += len(text)
        if count > MAX_PAGE_LINES or size > MAX_PAGE_BYTES:
            raise ReplicationError("the source sent a page that is too large")
        if isinstance(line, CopiedProject):
            projects[line.normalized_name] = line
        elif isinstance(line, Gone):
            gone.append(line.normalized_name)
        elif isinstance(line, TooLarge):
            large.append(line)
        elif isinstance(line, EventLine):
            events.append(line.event())
        else:
            raise ReplicationError("the source began a second time")
