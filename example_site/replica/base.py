"""What Django loads for ``ENGINE = "example_site.replica"``."""

from __future__ import annotations

import sqlite3

from django.db.backends.sqlite3 import base

from example_site.replication import files


class ReplicaCursor(base.SQLiteCursorWrapper):
    """A cursor that can be kept for long, and still never reads an older state than the lag allows."""

    replica: str

    def execute(self, query, params=None):
        files.catch_up(self.replica)
        return super().execute(query, params)

    def executemany(self, query, param_list):
        files.catch_up(self.replica)
        return super().executemany(query, param_list)


class DatabaseWrapper(base.DatabaseWrapper):
    """One replica. The time that copying takes is spent here, not in the queries that are measured."""

    def get_new_connection(self, conn_params):
        self.catch_up()
        return super().get_new_connection(conn_params)

    def create_cursor(self, name=None):
        self.catch_up()
        cursor = self.connection.cursor(factory=ReplicaCursor)
        cursor.replica = self.alias
        return cursor

    def catch_up(self):
        try:
            files.catch_up(self.alias)
        except sqlite3.Error as error:
            raise base.Database.OperationalError(
                f"{self.alias} cannot follow its primary: {error}"
            ) from error
