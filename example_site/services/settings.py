"""Where the databases of the services configuration are, for ``DATABASES``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from example_site.services import PRIMARY, REPLICAS, mariadb, postgresql


def databases() -> dict[str, dict[str, Any]]:
    """The entries of ``DATABASES`` that are on servers."""
    entries = {alias: _on(postgresql, "postgresql", alias) for alias in (PRIMARY, *REPLICAS)}
    entries["legacy_users"] = _on(mariadb, "mysql", "legacy_users")
    if find_spec("MySQLdb") is None:
        _take_pymysql()
    return entries


def _on(server: Any, backend: str, alias: str) -> dict[str, Any]:
    return {
        "ENGINE": f"django.db.backends.{backend}",
        "NAME": server.DATABASE,
        "USER": server.USER,
        "PASSWORD": _variable("EXAMPLE_SITE_PASSWORD"),
        "HOST": _variable("EXAMPLE_SITE_HOST"),
        "PORT": _variable(f"EXAMPLE_SITE_{alias.upper()}_PORT"),
    }


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ImproperlyConfigured(
            f"EXAMPLE_SITE_DATABASES=services needs {name}. "
            "python -m example_site.services -- COMMAND starts the servers and sets it."
        ) from None


def _take_pymysql() -> None:
    """PyMySQL needs no compiler; Django takes it for mysqlclient, if its version is one that Django knows."""
    try:
        import pymysql
    except ImportError:
        raise ImproperlyConfigured(
            "EXAMPLE_SITE_DATABASES=services needs mysqlclient or PyMySQL: pip install PyMySQL"
        ) from None
    pymysql.version_info = (2, 2, 1, "final", 0)
    pymysql.install_as_MySQLdb()
