"""
Django's SQLite backend, with one database for every alias of the process, and a note of each statement.

A transaction of one alias would shut out the others, which are the same connection of the driver. So nothing
is sent for transactions: each statement stands for itself, with the recording and without it.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from django.db.backends.sqlite3 import base

from tests.fuzz.notes import Sent, log

shared: list[sqlite3.Connection] = []
"""The one connection of the driver."""


class NotingCursor(base.SQLiteCursorWrapper):
    """Notes each statement as it arrives, below everything that Django and the recording do."""

    alias = ""

    def execute(self, query: Any, params: Any = None) -> Any:
        log.append(Sent(self.alias, str(query), repr(params)))
        return super().execute(query, params)

    def executemany(self, query: Any, param_list: Any) -> Any:
        param_list = list(param_list)
        log.append(Sent(self.alias, str(query), repr(param_list)))
        return super().executemany(query, param_list)


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        if not shared:
            shared.append(super().get_new_connection(conn_params))
            shared[0].isolation_level = None  # as Django's own backend has it in autocommit
        return shared[0]

    def create_cursor(self, name: str | None = None) -> NotingCursor:
        cursor = self.connection.cursor(factory=NotingCursor)
        cursor.alias = str(self.alias)
        return cursor

    def _close(self) -> None:
        pass

    def _set_autocommit(self, autocommit: bool) -> None:
        pass

    def _start_transaction_under_autocommit(self) -> None:
        pass

    def _commit(self) -> None:
        pass

    def _rollback(self) -> None:
        pass

    def _savepoint(self, sid: str) -> None:
        pass

    def _savepoint_commit(self, sid: str) -> None:
        pass

    def _savepoint_rollback(self, sid: str) -> None:
        pass
