"""``dbroute lint``: printed, as JSON, and its exit code."""

from __future__ import annotations

import json
from itertools import cycle

import pytest
from django.core.management import CommandError, call_command
from django.db import router

from dbroute_panel.inspection.lints import run_lints


class Nowhere:
    def db_for_read(self, model, **hints):
        return "nowhere" if model._meta.label == "library.Tag" else "archive"

    def db_for_write(self, model, **hints):
        return "archive"


class Archive:
    """Everything on one database: nothing is wrong with that."""

    def db_for_read(self, model, **hints):
        return "archive"

    def db_for_write(self, model, **hints):
        return "archive"

    def allow_migrate(self, db, app_label, **hints):
        return db == "archive"


@pytest.fixture
def routers(monkeypatch):
    """Other routers than the site's."""

    def replace(*others):
        monkeypatch.setitem(router.__dict__, "routers", list(others))

    return replace


def test_text_has_everything_the_worst_first(dbroute):
    done = dbroute("lint")
    expected = run_lints()
    assert {"relation-across-databases", "empty-default-reachable"} <= {one.code for one in expected}
    heads = [line for line in done.out.splitlines() if not line.startswith("  ")]
    assert heads == [f"{one.level} {one.code}: {one.subject}" for one in expected]
    sentences = [line.strip() for line in done.out.splitlines() if line.startswith("  ")]
    drawn = "random-route"  # its message has the shares of a draw
    assert [text for text, one in zip(sentences, expected, strict=True) if one.code != drawn] == [
        one.message for one in expected if one.code != drawn
    ]
    errors = sum(one.level == "error" for one in expected)
    assert done.code == 1
    assert done.err.startswith(f"CommandError: {errors} findings of level error or above;")
    assert done.err.count("\n") == 1


def test_json_is_a_list_of_findings_with_their_subject(dbroute):
    done = dbroute("lint", "--format", "json")
    found = json.loads(done.out)
    assert [list(one) for one in found] == [["code", "level", "message", "subject"]] * len(found)
    assert {"users.Loan"} <= {one["subject"] for one in found if one["code"] == "relation-across-databases"}
    assert done.code == 1


def test_nothing_wrong(dbroute, routers, settings):
    routers(Archive())
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {
        "REPLICAS": {},
        "SILENCED_FINDINGS": ["manager-ignores-db"],  # of the site, with whatever routers
    }
    done = dbroute("lint", "--fail-level", "info")
    assert done == ("Nothing is wrong with the routing, as far as asking the routers tells.\n", "", 0)
    assert dbroute("lint", "--format", "json").out == "[]\n"


class First:
    """Answers for every model, so that nobody after it is asked where to read or write."""

    def db_for_read(self, model, **hints):
        return "archive"

    def db_for_write(self, model, **hints):
        return "archive"


class Alternates:
    def __init__(self):
        self.aliases = cycle(["primary", "archive"])

    def db_for_read(self, model, **hints):
        return next(self.aliases)


@pytest.mark.parametrize(
    ("code", "routing", "fails_at"),
    [
        ("route-to-unknown-alias", [Nowhere()], {"info", "warning", "error", None}),
        ("unreachable-router", [First(), Archive()], {"info", "warning"}),
        ("random-route", [Alternates()], {"info"}),
    ],
)
def test_the_level_from_which_on_it_fails(dbroute, routers, settings, code, routing, fails_at):
    routers(*routing)
    others = {one.code for one in run_lints()} - {code}
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": sorted(others)}
    for level in ("info", "warning", "error", None):
        done = dbroute("lint", *(["--fail-level", level] if level else []))
        assert done.out.split()[1] == f"{code}:"
        assert done.code == (1 if level in fails_at else 0), level


def test_wrong_arguments_name_the_right_ones(dbroute):
    done = dbroute("lint", "--fail-level", "eror")
    assert (done.err, done.code) == ("CommandError: No level 'eror'. Did you mean 'error'?\n", 2)
    done = dbroute("lint", "--format", "jsn")
    assert (done.err, done.code) == ("CommandError: No format 'jsn'. Did you mean 'json'?\n", 2)


def test_from_python(site, store):
    with pytest.raises(CommandError) as failed:
        call_command("dbroute", "lint")
    assert failed.value.returncode == 1


def test_at_a_terminal_it_is_coloured(terminal):
    done = terminal("dbroute", "lint")
    assert "\x1b[" in done.out.splitlines()[0]
    assert done.code == 1
