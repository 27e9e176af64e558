"""How the sessions of a PostgreSQL server are set up, so that nobody waits for the dead.

A process that is killed gives back its locks at once: the kernel closes its connections. A machine that loses
its power or its network closes nothing; server and clients find that out by themselves, within `GONE_AFTER`
seconds: the server ends the session of the machine, and with it its locks.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import URL

#: Seconds after which the other side of a silent connection counts as gone.
GONE_AFTER = 60

_IDLE, _INTERVAL, _COUNT = GONE_AFTER // 2, GONE_AFTER // 6, 3

# Of libpq, https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_CLIENT: dict[str, int] = {
    "connect_timeout": 10,
    "keepalives_idle": _IDLE,
    "keepalives_interval": _INTERVAL,
    "keepalives_count": _COUNT,
    "tcp_user_timeout": GONE_AFTER * 1000,
}

# Of the server, https://www.postgresql.org/docs/current/runtime-config.html
_SERVER = {
    "tcp_keepalives_idle": str(_IDLE),
    "tcp_keepalives_interval": str(_INTERVAL),
    "tcp_keepalives_count": str(_COUNT),
    "tcp_user_timeout": f"{GONE_AFTER}s",
}
# A writer that is stopped in the middle keeps out all others.
_STORE = {"idle_in_transaction_session_timeout": f"{GONE_AFTER}s", "idle_session_timeout": "0"}
# Whoever holds a lock for days says nothing meanwhile.
_LOCKS = {"lock_timeout": "0", "statement_timeout": "0", "idle_session_timeout": "0"}

# Older servers do not know all of them.
_SET = """SELECT set_config(name, value, false)
FROM unnest(%s::text[], %s::text[]) AS wanted (name, value) JOIN pg_catalog.pg_settings USING (name)"""


def client_options(url: URL) -> dict[str, int]:
    """Options of the client for connections to `url`; those that it has itself count."""
    if url.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in _CLIENT.items() if name not in url.query}


def prepare_store_session(connection: Any, *, patience: int) -> None:
    """Set up a new connection of the driver for facts: it waits `patience` seconds for other writers."""
    _set(connection, _SERVER | _STORE | {"lock_timeout": f"{patience}s"})


def prepare_lock_session(connection: Any) -> None:
    """Set up a new connection of the driver for locks."""
    _set(connection, _SERVER | _LOCKS)


def _set(connection: Any, values: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SET, (list(values), list(values.values())))
    connection.commit()
