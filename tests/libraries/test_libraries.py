"""The libraries' tests are what ``suites.py`` says they are, and what runs them would notice a difference."""

from __future__ import annotations

import os
import subprocess
import sys

import django
import msgspec
import pytest

from tools.libraries import __main__ as command
from tools.libraries import places
from tools.libraries.suites import SUITES
from tools.watched import comparison
from tools.watched.sdist import normal, sdist
from tools.watched.watching import APP, BARE, Order, Run

PROJECT = """
import pytest
from django.conf import settings


def pytest_configure():
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    )
"""
TESTS = """
import unittest
import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase


@pytest.mark.django_db
def test_first():
    Group.objects.create(name="a")


class SentTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        Group.objects.create(name="b")

    def test_sent(self):
        with transaction.atomic():
            self.assertEqual(Group.objects.count(), 1)

    def test_subtests(self):
        for number in (1, 2):
            with self.subTest(number=number):
                self.assertEqual(number, 1)


class FlushedTests(TransactionTestCase):
    def test_flushed(self):
        Group.objects.create(name="c")


def test_skipped():
    pytest.skip("for a reason")


@pytest.mark.xfail
def test_expected():
    assert False


@pytest.fixture
def broken():
    raise ValueError


def test_broken(broken):
    pass


def test_failed_with_and_without():
    assert False


@pytest.mark.django_db
def test_notices():
    assert not apps.is_installed("dbroute_panel")


@pytest.mark.django_db
def test_sends_more():
    Group.objects.filter(pk__in=range(3 if apps.is_installed("dbroute_panel") else 2)).exists()
    for alias in range(2 if apps.is_installed("dbroute_panel") else 1):
        Group.objects.count()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A project's tests, run by pytest as a library's are."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "conftest.py").write_text(PROJECT)
    (folder / "test_library.py").write_text(TESTS)
    ours = folder / "ours"
    ours.mkdir()
    for name, target in places.OURS.items():
        (ours / name).symlink_to(target)
    found = []
    for variant in (BARE, APP):
        order = Order(variant, str(folder))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        environment |= {"PYTHONPATH": str(ours), "PYTHONHASHSEED": "0"} | order.as_environment()
        # Here dbroute_panel is installed, and would be loaded as a plugin without being asked.
        options = ["-p", "no:dbroute_panel", "-p", "no:xdist", "-p", "dbroute_watched.plugin"]
        options += ["-p", "no:cacheprovider", "--rootdir=.", "--confcutdir=.", "-c", os.devnull]
        subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            cwd=folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        found.append(msgspec.json.decode(order.file("json").read_bytes(), type=Run))
    return found


def outcome(run, name):
    (told,) = (told for told in run.tests if told.id.endswith(f"::{name}"))
    return told.outcome


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_first", "passed"),
        ("test_sent", "passed"),
        ("test_subtests", "failed"),
        ("test_flushed", "passed"),
        ("test_skipped", "skipped"),
        ("test_expected", "expected failure"),
        ("test_broken", "error"),
        ("test_failed_with_and_without", "failed"),
    ],
)
def test_the_outcome_of_each_is_the_same(runs, name, expected):
    assert [outcome(run, name) for run in runs] == [expected, expected]


def test_what_is_not_the_same_is_found_and_nothing_else(runs):
    bare, watched = runs
    found = sorted(comparison.differences(bare, watched, []))
    assert [line.partition("\n")[0] for line in found] == [
        "test_library.py::test_notices: passed without us, failed with us",
        "test_library.py::test_sends_more: other databases",
    ]


def test_the_app_is_there_and_each_test_is_recorded(runs):
    bare, watched = runs
    told = {told.id.rpartition("::")[2]: told for told in watched.tests}
    assert told["test_first"].queries
    assert told["test_first"].decisions == 1
    assert told["test_sent"].transactions
    assert not any(told.queries for told in bare.tests)


def test_making_the_test_databases_is_not_the_first_test_s(runs):
    for run in runs:
        (first,) = (told for told in run.tests if told.id.endswith("::test_first"))
        assert sum(count for _alias, count in first.heard.aliases) < 10


def test_each_library_has_a_version_and_its_environment_the_django_of_here():
    for suite in SUITES:
        wanted = places.requirements(suite)
        assert f"{suite.project}=={suite.version}" in wanted
        assert f"Django=={django.get_version()}" in wanted
        assert any(one.startswith("msgspec") for one in wanted)
        assert not any(one.startswith("dbroute") for one in wanted)
    assert len({suite.project for suite in SUITES}) == len(SUITES)


def test_each_announced_test_has_a_reason_and_a_library():
    for suite in SUITES:
        for noticed in comparison.read_noticed(command.NOTICED, suite.project):
            assert len(noticed.reason) > 30
    tables = comparison.tables(command.NOTICED)
    assert tables <= {suite.project for suite in SUITES}


def test_an_unknown_library_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["python -m tools.libraries", "django-nothing"])
    with pytest.raises(SystemExit):
        command.main()
    assert "unknown: django-nothing; known are django-multidb-router" in capsys.readouterr().err


def test_an_sdist_that_is_unpacked_is_not_asked_for_again(tmp_path):
    (tmp_path / "some-library-1.0").mkdir()
    assert sdist("Some.Library", "1.0", tmp_path) == tmp_path / "some-library-1.0"
    assert normal("Some_.Library") == "some-library"
