"""``dbroute traces`` and ``dbroute show``: what was recorded, as a list and one by one."""

from __future__ import annotations

import json

import pytest

from dbroute_panel.records import Database, Dropped, dumps
from tests.traces import a_decision, a_finding, a_hook, a_query, a_trace, a_transaction, an_exception


def ids(out):
    return [entry["id"] for entry in json.loads(out)]


def test_the_list_is_newest_first(dbroute, store):
    for number in (1, 3, 2):
        store.save(a_trace(number, aliases=["replica1", "replica1", "primary"]))
    done = dbroute("traces")
    assert (done.err, done.code) == ("", 0)
    head, *rows = done.out.splitlines()
    assert head.split() == ["id", "started", "status", "queries", "ms", "findings", "what", "databases"]
    assert [row.split()[2] for row in rows] == ["00:00:03", "00:00:02", "00:00:01"]
    assert rows[0].startswith(
        "00000000  2026-11-22 00:00:03  200           3  84.0            GET /books/42/"
    )
    assert rows[0].endswith("  replica1 2, primary 1")


def test_times_are_in_the_time_zone_of_the_project(dbroute, store, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    store.save(a_trace(3))
    assert "2026-11-22 09:00:03" in dbroute("traces").out
    assert "2026-11-22 09:00:03" in dbroute("show", f"{3:032x}").out


def test_json_is_the_trace_without_its_events(dbroute, store):
    trace = a_trace(1, findings=[a_finding("stale-read", 1)], aliases=["replica1", "primary"])
    store.save(trace, imported=True)
    (found,) = json.loads(dbroute("traces", "--format", "json").out)
    document = json.loads(dumps(trace))
    del document["events"]
    assert found == document | {"queries": 2, "decisions": 1, "aliases": {"replica1": 1, "primary": 1}}


def test_filters(dbroute, store):
    store.save(a_trace(1, path="/books/", aliases=["replica1"]))
    store.save(
        a_trace(
            2,
            path="/people/",
            name="GET /people/",
            aliases=["primary"],
            findings=[a_finding("stale-read", 1)],
        )
    )
    store.save(a_trace(3, path="/books/7/", aliases=["primary"]))

    def found(*arguments):
        return [int(trace_id, 16) for trace_id in ids(dbroute("traces", "--format", "json", *arguments).out)]

    assert found() == [3, 2, 1]
    assert found("--path", "BOOKS") == [3, 1]
    assert found("--alias", "primary") == [3, 2]
    assert found("--finding", "stale-read") == [2]
    assert found("--path", "books", "--alias", "primary") == [3]
    assert found("--limit", "2") == [3, 2]
    assert found("--path", "nothing") == []
    assert dbroute("traces", "--limit", "1").out.splitlines()[-1] == "… and 2 more."
    assert dbroute("traces", "--path", "nothing").out == "None of the 3 traces matches.\n"


def test_an_alias_that_nobody_has(dbroute, store):
    store.save(a_trace(1, databases={"elsewhere": Database(vendor="", engine="", replica_of=None)}))
    assert (
        dbroute("traces", "--alias", "primry").err
        == "CommandError: No database 'primry'. Did you mean 'primary'?\n"
    )
    assert dbroute("traces", "--alias", "primry").code == 2
    assert dbroute("traces", "--alias", "new_users").code == 0
    assert dbroute("traces", "--alias", "elsewhere").out == "The only trace does not match.\n"


def test_no_traces(dbroute):
    done = dbroute("traces")
    assert done.out == "There are no traces yet: record one with 'manage.py dbroute run -- check'.\n"
    assert done.code == 0
    assert dbroute("traces", "--format", "json").out == "[]\n"


def test_a_finding_that_is_none_names_the_nearest(dbroute, store):
    store.save(a_trace(1, findings=[a_finding("of-the-project", 1)]))
    done = dbroute("traces", "--finding", "stale-raed")
    assert (done.err, done.code) == ("CommandError: No finding 'stale-raed'. Did you mean 'stale-read'?\n", 2)
    assert "of-the-project" in dbroute("traces", "--finding", "of-the-projekt").err
    for code in ("stale-read", "archive-written-in-request"):  # there is such a finding, but not now
        assert dbroute("traces", "--finding", code).out == "The only trace does not match.\n"
    assert dbroute("traces", "--finding", "of-the-project").code == 0


def test_findings_are_counted(dbroute, store):
    store.save(a_trace(1, findings=[a_finding("stale-read", 1), a_finding("stale-read", 2)]))
    assert dbroute("traces").out.splitlines()[1].split()[6] == "2"


# show


def test_one_trace(dbroute, store):
    store.save(a_trace(1, aliases=["replica1", "primary"], findings=[a_finding("stale-read", 2, 3)]))
    out = dbroute("show", f"{1:032x}").out
    assert out.splitlines() == [
        f"GET /books/42/  request {1:032x}",
        "2026-11-22 00:00:01 · 200 · 84.0 ms · 2 queries · 1 decision",
        "",
        "  primary   1 query  0.3 ms  sqlite",
        "  replica1  1 query  0.3 ms  sqlite  replica of primary",
        "warning stale-read: Book #42 was possibly stale. (#2, #3)",
        "",
        "#  at ms  database  why            what                    ms  where",
        "2    0.2  replica1  ReplicaRouter  SELECT library_book  0.250  views.py:88",
        "3    0.3  primary   ReplicaRouter  SELECT library_book  0.250  views.py:88",
        "4    0.4  primary                  BEGIN                       views.py:88",
    ]


def test_questions_without_a_query_are_rows(dbroute, store):
    args = {"db": "primary", "app_label": "library", "model_name": "book"}
    asked = [a_decision(number, action="allow_migrate", args=args, answer=False) for number in (1, 2)]
    store.save(a_trace(1, events=asked))
    first, second = dbroute("show", f"{1:032x}").out.splitlines()[-2:]
    assert first.split()[1:4] == ["0.1", "skip", "ReplicaRouter"]
    assert "allow_migrate(primary, library, book)" in first
    assert second.startswith("2")


def test_verbose_shows_every_event_in_full(dbroute, store):
    store.save(
        a_trace(
            1,
            events=[
                a_decision(1),
                a_query(2, decision_id=1, error="OperationalError: no such table"),
                a_transaction(3),
                a_query(4, "primary", route="cursor"),
            ],
        )
    )
    out = dbroute("show", f"{1:032x}", "-v", "2").out
    for text in (
        "ReplicaRouter answered replica1. AuthRouter had no opinion.",
        "AuthRouter     passed              0.4 us",
        "instance = library.Book #42 (_state.db = replica1, which no decision of this trace put there)",
        'SELECT "library_book"."id"',
        "        2\n",
        "OperationalError: no such table",
        "library/views.py:88 save_book",
        "A raw cursor on connections",
        "BEGIN",
    ):
        assert text in out


def test_json_is_the_document(dbroute, store):
    trace = a_trace(1)
    store.save(trace)
    assert json.loads(dbroute("show", f"{1:032x}", "--format", "json").out) == json.loads(dumps(trace))


def test_dropped_events_are_told(dbroute, store):
    store.save(a_trace(1, dropped=Dropped(decision=3, query=4)))
    assert "7 events were not kept" in dbroute("show", f"{1:032x}").out


def test_the_beginning_of_an_id_is_enough(dbroute, store):
    first, second = "abcd" + "0" * 28, "abce" + "0" * 28
    for number, trace_id in enumerate((first, second)):
        store.save(a_trace(number, id=trace_id))
    assert first in dbroute("show", "abcd").out
    assert second in dbroute("show", " ABCE0 ").out
    assert (
        dbroute("show", "abc").err
        == "CommandError: No trace 'abc'. 'manage.py dbroute traces' lists the 2 that are there.\n"
    )
    assert dbroute("show", "abcf").code == 2
    store.save(a_trace(3, id="abcd" + "1" * 28))
    done = dbroute("show", "abcd")
    assert done.code == 2
    assert done.err.startswith("CommandError: 2 traces begin with 'abcd': ")


@pytest.mark.parametrize("count", [1, 2500])
def test_a_trace_of_any_length_is_shown_whole(dbroute, store, count):
    store.save(a_trace(1, events=[a_query(number) for number in range(1, count + 1)]))
    assert len(dbroute("show", f"{1:032x}").out.splitlines()) == count + 6


def test_what_was_given_to_on_commit_and_exceptions_are_shown(dbroute, store):
    store.save(a_trace(1, events=[a_transaction(1), a_hook(2, robust=True), an_exception(3)]))
    done = dbroute("show", f"{1:032x}", "-v", "2")
    assert "on_commit(library.tasks.send_mail, robust=True)" in done.out
    assert "library.tasks.send_mail ran after the transaction on “primary” was committed." in done.out
    assert "raised in Django: /lib/django/db/models/sql/compiler.py:841 as_sql" in done.out
    assert "This exception left atomic() on “primary”, and ended the trace." in done.out
    assert "ended the trace" in dbroute("show", f"{1:032x}").out
