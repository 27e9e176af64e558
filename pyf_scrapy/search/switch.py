"""The moment in which a collection that was made anew takes the place of the old one.

Aliases move one by one, and no transaction spans the search server and the store: what is being done is
noted first, and whoever opens the collection next ends what a killed process has begun.
"""

from __future__ import annotations

import typesense

from pyf_scrapy.exceptions import StoreError
from pyf_scrapy.search.administration import exists, list_aliases, point
from pyf_scrapy.store import Store


def switch(store: Store, client: typesense.Client, alias: str, new: str) -> tuple[str, ...]:
    """Let the new collection of `store.rebuild(alias)`, which must be `new`, take the place of the old one:
    every alias that points to the old one moves. Returns these aliases.

    Under the collection's `index_lock`. Raises SearchError, StoreError; then `finish_switch` ends it later.
    """
    begun = store.rebuild(alias)
    if begun is None or begun.new != new:
        raise StoreError(f"somebody else makes {alias} anew at the same time: run it again")
    store.save_rebuild(alias, begun._replace(switching=True))
    moved = _moved(client, begun.old, begun.new)
    store.adopt_rebuild(alias)
    return moved


def finish_switch(store: Store, client: typesense.Client, alias: str, server: str) -> None:
    """End a switch that a killed process has begun, if there is one.

    `server` is the identity of the search server. Under the collection's `index_lock`. Raises SearchError,
    StoreError.
    """
    begun = store.rebuild(alias)
    if begun is None or not begun.switching or begun.server != server:
        return
    if not exists(client, begun.new):
        store.drop_rebuild(alias)  # the server was replaced by an older copy: all begins anew
        return
    _moved(client, begun.old, begun.new)
    if list_aliases(client).get(alias) == begun.new:
        store.adopt_rebuild(alias)
    else:
        store.drop_rebuild(alias)  # somebody has pointed it elsewhere


def _moved(client: typesense.Client, old: str, new: str) -> tuple[str, ...]:
    aliases = tuple(alias for alias, target in list_aliases(client).items() if target == old)
    for alias in aliases:
        point(client, alias, new)
    return aliases
