from __future__ import annotations

import pytest
from django.db import connections

from dbroute_panel.exports.semconv import ServerInfo
from dbroute_panel.records import Database
from dbroute_panel.telemetry.servers import find_servers, is_mariadb, make_server_info
from tests.traces import a_trace


@pytest.mark.parametrize(
    ("vendor", "options", "expected"),
    [
        (
            "postgresql",
            {"NAME": "shop", "HOST": "db", "PORT": "5432"},
            {"namespace": "shop", "address": "db"},
        ),
        (
            "postgresql",
            {"NAME": "shop", "HOST": "db", "PORT": 6432},
            {"namespace": "shop", "address": "db", "port": 6432},
        ),
        ("mysql", {"NAME": "shop", "HOST": "db", "PORT": 3306}, {"namespace": "shop", "address": "db"}),
        ("mysql", {"NAME": "shop", "HOST": "/run/m.sock"}, {"namespace": "shop", "address": "/run/m.sock"}),
        ("mysql", {"NAME": "shop", "HOST": "a", "OPTIONS": {"host": "b"}}, {"namespace": "shop"}),
        ("postgresql", {"NAME": "shop", "HOST": "a,b", "PORT": "1,2"}, {"namespace": "shop"}),
        ("postgresql", {"NAME": "shop", "HOST": "", "PORT": "6432"}, {"namespace": "shop"}),
        ("postgresql", {"NAME": None, "OPTIONS": {"service": "shop"}}, {}),
        ("postgresql", {"NAME": "host=db password=secret"}, {}),
        ("postgresql", {"NAME": "postgres://me:secret@db/shop"}, {}),
        ("sqlite", {"NAME": "/home/me/site/db.sqlite3"}, {"namespace": "db.sqlite3"}),
        ("sqlite", {"NAME": ":memory:"}, {"namespace": ":memory:"}),
        ("sqlite", {"NAME": "file:/srv/replica1.sqlite3?mode=ro"}, {"namespace": "replica1.sqlite3"}),
        ("sqlite", {}, {}),
    ],
)
def test_what_the_settings_say_and_nothing_that_may_be_a_secret(vendor, options, expected):
    assert make_server_info(vendor, options) == ServerInfo(**expected)


def test_mariadb_is_named_where_its_connection_knows():
    assert make_server_info("mysql", {"NAME": "shop"}, is_mariadb=True) == ServerInfo(
        system="mariadb", namespace="shop"
    )


def test_a_connection_that_was_never_asked_is_not_asked_now(site):
    assert not is_mariadb("primary")
    before = [connection.alias for connection in connections.all(initialized_only=True)]
    find_servers(a_trace())
    assert [connection.alias for connection in connections.all(initialized_only=True)] == before


def test_what_is_not_configured_here_has_no_place(site):
    elsewhere = Database(vendor="postgresql", engine="x", replica_of=None)
    assert set(find_servers(a_trace(databases=a_trace().databases | {"elsewhere": elsewhere}))) == {
        "primary", "replica1", "replica2",
    }  # fmt: skip
