"""
Replicas that PostgreSQL keeps itself, by streaming.

The lag is their ``recovery_min_apply_delay``: a commit arrives at once, and is applied when it is that old.
Without a lag, a commit on the primary waits until both have applied it (``synchronous_commit``). The servers
remember both settings themselves.

Only plain connections of psycopg are used here, never one of Django's.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from django.conf import settings

from example_site import replication

PRIMARY = replication.PRIMARY

#: The delay that stands for a lag of None; the server knows no endless one.
UNTIL_REPLICATE = 86_400.0

PATIENCE = 30.0


def lag() -> float | None:
    seconds = max(_delay(alias) for alias in replication.replicas())
    return None if seconds == UNTIL_REPLICATE else seconds


def set_lag(seconds: float | None) -> None:
    delay = UNTIL_REPLICATE if seconds is None else seconds
    replicas = replication.replicas()
    # Nobody may wait for a replica that lags: the primary stops to wait before, and starts to wait after.
    if delay:
        _configure(PRIMARY, "synchronous_commit", "local")
    for alias in replicas:
        _configure(alias, "recovery_min_apply_delay", _milliseconds(delay))
    if not delay:
        _configure(PRIMARY, "synchronous_commit", "remote_apply")
        _wait_until_applied(replicas)


def replicate(replicas: list[str]) -> None:
    delays = {alias: _delay(alias) for alias in replicas}
    try:
        for alias in replicas:
            _configure(alias, "recovery_min_apply_delay", "0")
        _wait_until_applied(replicas)
    finally:
        for alias, delay in delays.items():
            _configure(alias, "recovery_min_apply_delay", _milliseconds(delay))


def behind(alias: str) -> bool:
    everything = "SELECT md5(schema_to_xml('public', true, false, '')::text)"
    return _ask(PRIMARY, everything) != _ask(alias, everything)


def forget() -> None:
    """No connection is kept."""


def _delay(alias: str) -> float:
    """In seconds, as the server has it now."""
    sql = "SELECT setting::integer FROM pg_settings WHERE name = 'recovery_min_apply_delay'"
    return float(_ask(alias, sql)) / 1000


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _configure(alias: str, name: str, value: str) -> None:
    """Set a setting of a server, and return when all of its processes have been told."""
    sql = f"SELECT setting FROM pg_settings WHERE name = '{name}'"
    if _ask(alias, sql) == value:
        return
    with _connect(alias) as connection:
        connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")
    # The server tells its processes, and then starts new ones that know it: a new connection is such a one.
    _wait_until(lambda: _ask(alias, sql) == value, f"{alias} has {name} = {value}")


def _wait_until_applied(replicas: list[str]) -> None:
    written = _ask(PRIMARY, "SELECT pg_current_wal_lsn()::text")
    for alias in replicas:
        sql = f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"
        _wait_until(lambda alias=alias, sql=sql: _ask(alias, sql), f"{alias} has caught up with {PRIMARY}")


def _wait_until(holds: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"After {PATIENCE:g} s it is still not so that {what}.")
        time.sleep(0.01)


def _ask(alias: str, sql: str) -> Any:
    with _connect(alias) as connection:
        row = connection.execute(sql).fetchone()
    return row and row[0]


def _connect(alias: str) -> psycopg.Connection[Any]:
    database = settings.DATABASES[alias]
    return psycopg.connect(
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
        dbname=database["NAME"],
        connect_timeout=10,
        autocommit=True,
    )
