"""The comparison says what is not the same, and what was announced and is not so."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tools import django_suite
from tools.django_suite.suites import LONG, SHORT
from tools.watched import comparison
from tools.watched.comparison import Noticed, differences
from tools.watched.listener import SAVEPOINT, Listener, digest
from tools.watched.sdist import SdistError, check, sha256_of
from tools.watched.watching import HeardStatements, Run, WatchedTest

NOTICED = Path(django_suite.__file__).with_name("noticed.toml")


def told(name="a.A.test", *, aliases=(("default", 2),), statements="x", shapes="y", **kwargs):
    heard = HeardStatements(aliases=list(aliases), statements=statements, shapes=shapes)
    return WatchedTest(name, heard=heard, **kwargs)


def run(variant, *tests):
    return Run(django="6.1.3", python="3.13.0", variant=variant, seconds=1.0, tests=list(tests))


def recorded(*tests, variant="recording"):
    """A run in which there was something to record."""
    also = told("a.A.test_recorded", decisions=3, queries=2, transactions=1)
    return run(variant, also, *tests)


def bare(*tests):
    return run("bare", told("a.A.test_recorded"), *tests)


def test_the_same_is_no_difference():
    assert list(differences(bare(told()), recorded(told()), [])) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (told(outcome="failed", message="why"), "passed without us, failed with us\nwhy"),
        (told(outcome="skipped"), "passed without us, skipped with us"),
        (told(aliases=[("other", 2)]), "other databases"),
        (told(aliases=[("default", 3)]), "other databases"),
        (told(shapes="z"), "other SQL"),
        (told(statements="z"), "lists of another length"),
        (told(complaints=["could not record"]), "we logged an error of ours: could not record"),
        (told("a.A.test_another"), "ran only with us"),
    ],
)
def test_what_is_not_the_same_is_said(other, words):
    found = list(differences(bare(told()), recorded(other), []))
    assert any(words in line for line in found)


def test_a_failure_that_is_there_without_us_too_is_none():
    both = told(outcome="error")
    assert list(differences(bare(both), recorded(both), [])) == []


def test_what_is_announced_may_fail_and_must():
    noticed = [Noticed(id="a.A.test", reason="because")]
    assert list(differences(bare(told()), recorded(told(outcome="failed")), noticed)) == []
    (line,) = differences(bare(told()), recorded(told()), noticed)
    assert line == "a.A.test is announced in noticed.toml, but it is passed with and without us"


@pytest.mark.parametrize("noticed", [{"django": "<6"}, {"variants": ("app",)}])
def test_what_is_announced_of_other_runs_does_not_count(noticed):
    noticed = [Noticed(id="a.A.test", reason="because", **noticed)]
    (line,) = differences(bare(told()), recorded(told(outcome="failed")), noticed)
    assert "passed without us, failed with us" in line


def test_an_app_of_its_own_makes_lists_of_content_types_longer():
    assert list(differences(bare(told()), recorded(told(statements="z"), variant="app"), [])) == []
    assert list(differences(bare(told()), recorded(told(shapes="z"), variant="app"), []))


def test_a_run_that_recorded_or_heard_nothing_proves_nothing():
    (*kinds,) = differences(bare(), run("recording", told("a.A.test_recorded")), [])
    assert [line.split(" were recorded")[0] for line in kinds] == [
        "No decisions",
        "No queries",
        "No transactions",
    ]
    silent = told("a.A.test_recorded", aliases=(), decisions=1, queries=1, transactions=1)
    found = list(differences(run("bare", silent), run("recording", silent), []))
    assert found == [
        f"No statement was heard ({name}): nothing was compared." for name in ("bare", "recording")
    ]
    assert "No test ran at all." in list(differences(run("bare"), run("recording"), []))


def test_each_announced_test_has_a_reason_and_is_among_the_tests_that_are_run():
    announced = comparison.read_noticed(NOTICED)
    assert announced
    for noticed in announced:
        assert len(noticed.reason) > 30
        assert any(noticed.id.startswith(f"{label}.") for label in LONG)


def test_the_short_list_is_part_of_the_long_one():
    for label in SHORT:
        assert any(f"{label}.".startswith(f"{longer}.") for longer in LONG)


def test_savepoints_are_named_after_threads():
    assert SAVEPOINT.sub("savepoint", 'SAVEPOINT "s139_x2"') == 'SAVEPOINT "savepoint"'


def test_what_was_heard_is_taken_once():
    listener = Listener()
    listener.statements = [("default", "SELECT %s"), ("default", "IN (%s, %s)"), ("other", "SELECT 1")]
    heard = listener.take()
    assert heard.aliases == [("default", 2), ("other", 1)]
    assert listener.take() == HeardStatements(aliases=[], statements=digest([]), shapes=digest([]))
    listener.statements = [("default", "SELECT %s"), ("default", "IN (%s, %s, %s)"), ("other", "SELECT 1")]
    again = listener.take()
    assert again.shapes == heard.shapes
    assert again.statements != heard.statements


def test_an_archive_with_another_hash_is_refused_and_removed(tmp_path):
    archive = tmp_path / "django.tar.gz"
    archive.write_bytes(b"x")
    check(archive, hashlib.sha256(b"x").hexdigest())
    with pytest.raises(SdistError, match=re.escape("django.tar.gz has the SHA-256")):
        check(archive, hashlib.sha256(b"y").hexdigest())
    assert not archive.exists()


def test_an_index_without_hashes_is_refused():
    assert sha256_of({"url": "x", "archive_info": {"hashes": {"sha256": "ab"}}}) == "ab"
    with pytest.raises(SdistError, match="no SHA-256 of http://x"):
        sha256_of({"url": "http://x", "archive_info": {}})
