"""The check of the option ``alias`` of ``DatabaseStore``."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db.utils import load_backend

from dbroute_panel.conf import DUMMY, replicas
from dbroute_panel.stores.base import InvalidStoreError
from dbroute_panel.suggestions import did_you_mean

APP: Final = "dbroute_panel.stores.database"
VENDORS: Final = frozenset({"postgresql", "mysql", "sqlite"})


def vendor_of(alias: str) -> str:
    """Return the vendor of the database ``alias``: imports its backend, and connects to nothing."""
    found: str = load_backend(settings.DATABASES[alias]["ENGINE"]).DatabaseWrapper.vendor
    return found


def validate_alias(alias: object) -> str:
    """Return ``alias`` if the store can be there; raise ``InvalidStoreError`` with the next thing to do."""
    replica_of = replicas()
    valid = [
        name for name, database in settings.DATABASES.items() if name not in replica_of and is_real(database)
    ]
    hint = f"Use one of {', '.join(map(repr, valid))}." if valid else "There is none in DATABASES."
    if alias is None:
        raise InvalidStoreError("DatabaseStore needs the option 'alias'.", hint)
    if not isinstance(alias, str):
        raise InvalidStoreError(f"The option 'alias' is of type {type(alias).__name__}.", hint)
    if alias not in settings.DATABASES:
        message = f"The option 'alias' names {alias!r}, which is not in DATABASES."
        raise InvalidStoreError(message, did_you_mean(alias, valid))
    if not is_real(settings.DATABASES[alias]):
        raise InvalidStoreError(f"The option 'alias' names {alias!r}, which is no database.", hint)
    if alias in replica_of:
        message = f"The option 'alias' names {alias!r}, which is a replica of {replica_of[alias]!r}."
        raise InvalidStoreError(message, hint)
    if vendor_of(alias) not in VENDORS:
        message = f"The option 'alias' names {alias!r}, which is not PostgreSQL, MySQL or MariaDB."
        raise InvalidStoreError(message, "Use another alias, or another store.")
    if not apps.is_installed(APP):
        message = f"DatabaseStore needs {APP!r} in INSTALLED_APPS."
        raise InvalidStoreError(message, f"Add it, then run 'manage.py migrate --database={alias}'.")
    return alias


def is_real(database: dict[str, Any]) -> bool:
    """Return whether it is a database: ``{}`` is none, nor is what ``connections`` makes of it."""
    return database.get("ENGINE") not in (None, DUMMY)
