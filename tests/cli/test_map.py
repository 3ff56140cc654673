"""``dbroute map``: printed, written, and compared with what was committed."""

from __future__ import annotations

import csv
import errno
import io
import json
import os

import pytest
from django.db import connections, router

from dbroute_panel.inspection.map import build_map, dump_map
from example_site.routers import AuthRouter, EverythingRouter


@pytest.fixture
def swapped(monkeypatch):
    """The routers of scenario 12 in the wrong order, instead of the site's."""
    monkeypatch.setitem(router.__dict__, "routers", [EverythingRouter(), AuthRouter()])


def test_text(dbroute):
    done = dbroute("map")
    assert (done.err, done.code) == ("", 0)
    lines = {line.split("  ")[0]: line.split() for line in done.out.splitlines()}
    assert lines["model"] == ["model", "read", "from", "written", "to", "migrated", "on"]
    assert lines["auth.User"] == ["auth.User", "auth_db", "auth_db", "auth_db"]
    assert lines["library.Book"] == [
        *("library.Book", "replica1,", "replica2", "primary", "archive,", "primary"),
    ]
    assert lines["library.Book_tags (auto-created)"][1] == "(auto-created)"
    columns = {
        line.find(" auth_db") for line in done.out.splitlines() if line.startswith(("auth.", "admin."))
    }
    assert len(columns) == 1


def test_json_is_the_map(dbroute):
    done = dbroute("map", "--format", "json")
    assert done.out == dump_map(build_map())
    found = json.loads(done.out)
    assert list(found) == ["databases", "models"]
    assert found["databases"] == sorted(connections)
    assert found["models"]["library.Book"] == {
        "errors": {},
        "managed": True,
        "migrate": {alias: alias in ("primary", "archive") for alias in connections},
        "read": ["replica1", "replica2"],
        "write": ["primary"],
    }


def test_csv_is_read_by_others(dbroute):
    rows = list(csv.DictReader(io.StringIO(dbroute("map", "--format", "csv").out)))
    (book,) = (row for row in rows if row["model"] == "library.Book")
    assert (book["read"], book["write"], book["migrate:archive"]) == ("replica1 replica2", "primary", "yes")


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_a_file_has_what_is_printed(dbroute, tmp_path, form):
    file = tmp_path / "map"
    done = dbroute("map", "--format", form, "--output", file)
    assert (done.out, done.code) == ("", 0)
    assert done.err == f"The map of 18 models: {file}\n"
    assert file.read_text() == dbroute("map", "--format", form).out


def test_what_raised_is_in_the_text(dbroute, monkeypatch):
    class Raising:
        def db_for_read(self, model, **hints):
            raise LookupError(f"no shard for\n{model._meta.label}")

    monkeypatch.setitem(router.__dict__, "routers", [Raising()])
    out = dbroute("map").out
    assert "library.Book: db_for_read raised LookupError: no shard for library.Book\n" in out
    (row,) = (line for line in out.splitlines() if line.startswith("library.Book "))
    assert row.split()[:3] == ["library.Book", "error", "default"]


def test_check_holds(dbroute, tmp_path):
    file = tmp_path / "routing-map.json"
    dbroute("map", "--format", "json", "--output", file)
    for _again in range(3):  # the replicas are drawn anew each time
        done = dbroute("map", "--check", file)
        assert (done.out, done.err, done.code) == ("", f"The map is what {file} has.\n", 0)
    assert dbroute("map", "--check", file, "-v", "0") == ("", "", 0)


def test_check_names_exactly_what_changed(dbroute, tmp_path, swapped, monkeypatch):
    file = tmp_path / "routing-map.json"
    with monkeypatch.context() as context:
        context.setitem(router.__dict__, "routers", [AuthRouter(), EverythingRouter()])
        dbroute("map", "--format", "json", "--output", file)
    done = dbroute("map", "--check", file)
    assert done.code == 1
    of_auth = [
        *("admin.LogEntry", "auth.Group", "auth.Group_permissions", "auth.Permission", "auth.User"),
        *("auth.User_groups", "auth.User_user_permissions", "contenttypes.ContentType", "sessions.Session"),
    ]
    expected = {f"{label} is read from replica1, replica2, was auth_db" for label in of_auth}
    expected |= {f"{label} is written to primary, was auth_db" for label in of_auth}
    assert done.out.splitlines() == sorted(expected)
    assert done.err.startswith(f"CommandError: The map is not what {file} has: 18 differences.")
    assert f"dbroute map --format json --output {file}" in done.err
    assert done.err.count("\n") == 1


def test_the_example_site_is_routed_as_was_committed(manage):
    file = "example_site/routing-map.json"
    assert manage("dbroute", "map", "--check", file) == ("", f"The map is what {file} has.\n", 0)
    swapped_routers = manage("dbroute", "map", "--check", file, "--settings", "example_site.variants.swapped")
    assert swapped_routers.code == 1
    assert "auth.User is read from replica1, replica2, was auth_db\n" in swapped_routers.out
    assert "library." not in swapped_routers.out


def test_check_can_write_the_new_map_at_once(dbroute, tmp_path, swapped, monkeypatch):
    file = tmp_path / "routing-map.json"
    with monkeypatch.context() as context:
        context.setitem(router.__dict__, "routers", [AuthRouter()])
        dbroute("map", "--format", "json", "--output", file)
    assert dbroute("map", "--check", file, "--format", "json", "--output", file).code == 1
    assert dbroute("map", "--check", file).code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "This is no map of the routing as JSON: "),
        (b"{", "This is no map of the routing as JSON: "),
        (b"\xff", "routing-map.json: This is not UTF-8 (byte 0xff)."),
        (
            None,
            f"cannot be read: {os.strerror(errno.ENOENT)}. To make it: dbroute map --format json --output ",
        ),
    ],
)
def test_a_file_that_holds_no_map(dbroute, tmp_path, content, message):
    file = tmp_path / "routing-map.json"
    if content is not None:
        file.write_bytes(content)
    done = dbroute("map", "--check", file)
    assert (done.out, done.code) == ("", 2)
    assert message in done.err
    assert done.err.count("\n") == 1


def test_files_that_cannot_be_written(dbroute, tmp_path):
    assert dbroute("map", "--output", tmp_path).err == f"CommandError: '{tmp_path}' is no file.\n"
    done = dbroute("map", "--output", tmp_path / "nowhere" / "map")
    assert (done.out, done.code) == ("", 2)
    assert done.err.endswith(f"map cannot be written: there is no folder {tmp_path / 'nowhere'}.\n")
    done = dbroute("map", "--output", "/proc/version")
    assert done.code == 2
    assert done.err.startswith("CommandError: /proc/version cannot be written: ")
    assert done.err.count("\n") == 1


def test_a_device_is_written_to_as_it_is(dbroute):
    assert dbroute("map", "--output", "/dev/null", "--format", "json").code == 0
    assert dbroute("map", "--output", "/dev/full", "--format", "json").err == (
        "CommandError: /dev/full cannot be written: No space left on device.\n"
    )
