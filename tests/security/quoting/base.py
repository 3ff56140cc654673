from __future__ import annotations

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self):
        return {"dsn": str(self.settings_dict["NAME"]), "password": self.settings_dict["PASSWORD"]}

    def get_new_connection(self, conn_params):
        raise OperationalError(
            f'missing "=" after "{conn_params["dsn"]}" in connection info string {conn_params!r}'
        )
