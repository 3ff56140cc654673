"""The databases of the site, as the front page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

WHAT_IS_THERE = {
    "default": "Nothing: it is {}, so that what no router claims fails.",
    "auth_db": "Accounts, sessions, the log of the admin, content types.",
    "primary": "The library, where it is written.",
    "replica1": "The library, where it is read. Read-only.",
    "replica2": "The library, where it is read. Read-only.",
    "archive": "Some of the library once more, and the notes.",
    "legacy_users": "The readers, today.",
    "new_users": "The readers, tomorrow.",
}

PRODUCTS = {
    "django.db.backends.sqlite3": "SQLite",
    "example_site.replica": "SQLite",
    "django.db.backends.postgresql": "PostgreSQL",
    "django.db.backends.mysql": "MariaDB",
}


@dataclass(frozen=True)
class Database:
    """``css`` is the class of its colour: a replica has the one of its primary, lighter."""

    alias: str
    product: str
    what_is_there: str
    replica_of: str | None
    css: str


def databases() -> list[Database]:
    replica_of: dict[str, str] = settings.DBROUTE_PANEL["REPLICAS"]
    primaries = [alias for alias in settings.DATABASES if alias not in replica_of]

    def css(alias: str) -> str:
        colour = f"db-{primaries.index(replica_of.get(alias, alias))}"
        return f"{colour} db-replica" if alias in replica_of else colour

    return [
        Database(
            alias=alias,
            product=PRODUCTS.get(settings.DATABASES[alias].get("ENGINE", ""), ""),
            what_is_there=WHAT_IS_THERE.get(alias, ""),
            replica_of=replica_of.get(alias),
            css=css(alias),
        )
        for alias in settings.DATABASES
    ]
