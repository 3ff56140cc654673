"""What every store does, asked of each; and which one is used."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from dbroute_panel import stores
from dbroute_panel.conf import panel_settings
from dbroute_panel.records import Dropped, Request, dumps
from dbroute_panel.stores import (
    DatabaseStore,
    Filter,
    InvalidStoreError,
    MemoryStore,
    SQLiteStore,
    Store,
    build,
    get_store,
    keep,
)
from tests.threads import together
from tests.traces import a_finding, a_trace

MAKING = {
    "sqlite": lambda request: SQLiteStore(path=request.getfixturevalue("tmp_path") / "traces.sqlite3"),
    "memory": lambda request: MemoryStore(),
    "database": lambda request: DatabaseStore(alias=request.getfixturevalue("traces")),
}


@pytest.fixture(params=MAKING)
def store(request):
    made = MAKING[request.param](request)
    yield made
    made.close()


@pytest.fixture
def most(settings):
    def set_max_traces(number: int) -> None:
        settings.DBROUTE_PANEL = {"MAX_TRACES": number}

    set_max_traces(100)
    return set_max_traces


def numbers(found) -> list[int]:
    return [int(each.id, 16) for each in found]


class TestSaving:
    def test_a_trace_comes_back_as_it_was(self, store, most):
        trace = a_trace(7, aliases=["replica1", "primary"], findings=[a_finding("stale-read", 1, 2)])
        store.save(trace)
        assert store.get(trace.id) == trace
        assert dumps(store.get(trace.id)) == dumps(trace)

    def test_there_is_no_unknown_trace(self, store, most):
        store.save(a_trace(1))
        assert store.get("f" * 32) is None
        assert store.get("no id \ud800 at all") is None

    @pytest.mark.parametrize("own", [True, False], ids=["as it looks it up", "without a way of its own"])
    def test_the_summary_of_one_trace(self, store, most, own):
        summary = store.summary if own else lambda trace_id: Store.summary(store, trace_id)
        most(200)
        for number in range(120):  # more than a page of summaries
            store.save(a_trace(number), imported=number == 0)
        assert summary(a_trace(0).id).id == a_trace(0).id
        assert summary(a_trace(0).id).imported
        assert not summary(a_trace(119).id).imported
        assert summary("f" * 32) is None

    def test_the_same_id_replaces(self, store, most):
        store.save(a_trace(1, name="before", aliases=["replica1"], findings=[a_finding("stale-read")]))
        store.save(a_trace(1, name="after", aliases=["primary"], findings=[a_finding("write-to-replica")]))
        assert store.count() == 1
        assert store.get(a_trace(1).id).name == "after"
        assert store.summaries()[0].name == "after"
        assert store.count(Filter(alias="replica1")) == store.count(Filter(finding="stale-read")) == 0
        assert store.count(Filter(alias="primary")) == store.count(Filter(finding="write-to-replica")) == 1

    def test_one_code_may_be_found_several_times(self, store, most):
        store.save(a_trace(1, findings=[a_finding("stale-read", 1), a_finding("stale-read", 2)]))
        assert store.count(Filter(finding="stale-read")) == 1

    @pytest.mark.parametrize("started_at", ["yesterday", "", "2026-11-22T10:00:00"])
    def test_a_time_that_is_none_is_refused(self, store, most, started_at):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are not ours
            store.save(a_trace(1, started_at=started_at))
        assert store.count() == 0

    def test_threads_save_at_once(self, store, most):
        def save(first: int) -> None:
            for number in range(first, first + 20):
                store.save(a_trace(number))

        threads = [threading.Thread(target=save, args=(first,)) for first in (0, 20, 40, 60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers(store.summaries(limit=100))) == list(range(80))

    def test_it_can_be_used_again_after_it_was_closed(self, store, most):
        store.save(a_trace(1))
        store.close()
        store.close()
        store.save(a_trace(2))
        assert store.count() == 2


class TestEviction:
    def test_the_oldest_go(self, store, most):
        most(3)
        for number in range(1, 6):
            store.save(a_trace(number))
        assert numbers(store.summaries()) == [5, 4, 3]
        assert store.get(a_trace(2).id) is None
        assert store.count(Filter(alias="replica1")) == 3

    def test_the_oldest_is_the_one_that_arrived_first_so_an_old_trace_can_be_imported(self, store, most):
        most(2)
        for number in (8, 9, 1):
            store.save(a_trace(number))
        assert numbers(store.summaries()) == [9, 1]

    def test_one_that_is_saved_again_has_just_arrived(self, store, most):
        most(2)
        for number in (1, 2, 1, 3):
            store.save(a_trace(number))
        assert numbers(store.summaries()) == [3, 1]

    def test_a_smaller_number_holds_from_the_next_trace_on(self, store, most):
        for number in range(1, 8):
            store.save(a_trace(number))
        most(2)
        store.save(a_trace(8))
        assert numbers(store.summaries()) == [8, 7]


class TestSummaries:
    def test_a_summary_has_everything_but_the_events_and_counts_them(self, store, most):
        trace = a_trace(
            1, aliases=["primary", "replica1", "primary"], findings=[a_finding()], dropped=Dropped(query=4)
        )
        store.save(trace, imported=True)
        (summary,) = store.summaries()
        expected = trace.to_dict()
        del expected["events"]
        found = {name: getattr(summary, name) for name in summary.__struct_fields__}
        assert {name: found[name] for name in expected} == {name: getattr(trace, name) for name in expected}
        assert set(found) - set(expected) == {"queries", "decisions", "transactions", "aliases", "imported"}
        assert (summary.queries, summary.decisions, summary.transactions) == (3, 1, 1)
        assert summary.aliases == {"primary": 2, "replica1": 1}
        assert summary.imported is True

    def test_a_recorded_trace_is_not_imported(self, store, most):
        store.save(a_trace(1))
        assert store.summaries()[0].imported is False

    def test_newest_first_by_their_start(self, store, most):
        for number in (2, 3, 1):
            store.save(a_trace(number))
        assert numbers(store.summaries()) == [3, 2, 1]

    def test_of_those_that_started_together_the_last_to_arrive_is_first(self, store, most):
        started_at = "2026-11-22T10:00:00Z"
        for number in (2, 3, 1):
            store.save(a_trace(number, started_at=started_at))
        assert numbers(store.summaries()) == [1, 3, 2]

    def test_times_are_compared_not_their_spelling(self, store, most):
        store.save(a_trace(1, started_at="2026-11-22T10:00:00.500Z"))
        store.save(a_trace(2, started_at="2026-11-22T10:00:00Z"))
        store.save(a_trace(3, started_at="2026-11-22T11:00:00.250+01:00"))
        assert numbers(store.summaries()) == [1, 3, 2]

    def test_pages(self, store, most):
        for number in range(1, 6):
            store.save(a_trace(number))
        assert numbers(store.summaries(limit=2)) == [5, 4]
        assert numbers(store.summaries(limit=2, offset=2)) == [3, 2]
        assert numbers(store.summaries(limit=2, offset=4)) == [1]
        assert store.summaries(limit=2, offset=6) == []
        assert store.summaries(limit=0) == []

    def test_a_hundred_unless_told_otherwise(self, store, most):
        most(200)
        for number in range(101):
            store.save(a_trace(number))
        assert len(store.summaries()) == 100


class TestFilters:
    @pytest.fixture(autouse=True)
    def _traces(self, store, most):
        store.save(a_trace(1, path="/books/", name="GET /books/", aliases=["replica1"], status=200))
        request = Request(method="POST", path="/Bücher/100%/", view=None, status=404)
        store.save(a_trace(2, request=request, name="Straße", aliases=["primary"], duration_us=5_000_000))
        store.save(
            a_trace(3, kind="block", request=None, name="Nightly import", aliases=["primary", "archive"])
        )
        store.save(a_trace(4, path="/books/4/", findings=[a_finding("stale-read")], aliases=[], status=None))

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (Filter(), [4, 3, 2, 1]),
            (Filter(path="/books/"), [4, 1]),
            (Filter(path="nightly IMPORT"), [3]),
            (Filter(path="BÜCHER"), [2]),
            (Filter(path="STRASSE"), [2]),
            (Filter(path="%"), [2]),
            (Filter(path="_"), []),
            (Filter(path="' OR 1=1 --"), []),
            (Filter(path=""), [4, 3, 2, 1]),
            (Filter(alias="primary"), [3, 2]),
            (Filter(alias="archive"), [3]),
            (Filter(alias="arch"), []),
            (Filter(finding="stale-read"), [4]),
            (Filter(finding="stale"), []),
            (Filter(kind="block"), [3]),
            (Filter(kind="task"), []),
            (Filter(status=404), [2]),
            (Filter(status=500), []),
            (Filter(status=10**30), []),
            (Filter(path="\ud800"), []),
            (Filter(path="/books/", finding="stale-read"), [4]),
            (Filter(alias="primary", kind="request"), [2]),
            (Filter(alias="primary", status=200), []),
            (Filter(method="POST"), [2]),
            (Filter(method="post"), []),
            (Filter(method="GET", path="/books/"), [4, 1]),
            (Filter(method="\ud800"), []),
            (Filter(min_us=84_000), [4, 3, 2, 1]),
            (Filter(min_us=84_001), [2]),
            (Filter(min_us=5_000_000), [2]),
            (Filter(min_us=5_000_001), []),
            (Filter(min_us=10**30), []),
            (Filter(min_queries=0), [4, 3, 2, 1]),
            (Filter(min_queries=1), [3, 2, 1]),
            (Filter(min_queries=2), [3]),
            (Filter(min_queries=3), []),
            (Filter(min_queries=10**30), []),
            (Filter(min_queries=1, min_us=84_001, method="POST", alias="primary", status=404), [2]),
        ],
    )
    def test_what_is_given_must_hold(self, store, query, expected):
        assert numbers(store.summaries(query)) == expected
        assert store.count(query) == len(expected)
        assert numbers(store.traces(query)) == expected[::-1]

    def test_pages_of_a_filter(self, store):
        assert numbers(store.summaries(Filter(path="/books/"), offset=1, limit=1)) == [1]


class TestTraces:
    def test_oldest_first(self, store, most):
        for number in (2, 3, 1):
            store.save(a_trace(number))
        assert list(store.traces()) == [a_trace(1), a_trace(2), a_trace(3)]

    def test_those_that_started_together(self, store, most):
        started_at = "2026-11-22T10:00:00Z"
        for number in (2, 3, 1):
            store.save(a_trace(number, started_at=started_at))
        assert numbers(store.traces()) == [2, 3, 1]

    def test_before_1970(self, store, most):
        store.save(a_trace(1, started_at="1969-12-31T23:59:59Z"))
        assert numbers(store.traces()) == [1]

    def test_one_at_a_time_so_what_is_deleted_meanwhile_does_not_come(self, store, most):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        found = store.traces()
        assert next(found).id == a_trace(1).id
        store.delete([a_trace(1).id, a_trace(2).id])
        assert numbers(found) == [3]

    def test_of_nothing(self, store, most):
        assert list(store.traces()) == []


class TestDeleting:
    def test_delete_says_how_many_there_were(self, store, most):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        gone = (trace.id for trace in (a_trace(1), a_trace(3), a_trace(9)))
        assert store.delete(gone) == 2
        assert numbers(store.summaries()) == [2]
        assert store.delete([]) == 0

    def test_many_at_once(self, store, most):
        store.save(a_trace(1))
        assert store.delete(a_trace(number).id for number in range(40_000)) == 1

    def test_clear(self, store, most):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        assert store.clear() == 3
        assert store.clear() == store.count() == 0
        assert store.get(a_trace(1).id) is None

    def test_a_store_that_works_has_no_problem(self, store, most):
        assert store.problem() is None


class Closing(MemoryStore):
    """A store of somebody else's, with any option, that tells when it is closed."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.options = options
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Failing(MemoryStore):
    def __init__(self) -> None:
        raise RuntimeError("no such server")


class TestBuild:
    def test_options_are_passed_on(self, tmp_path):
        store = build("dbroute_panel.stores.SQLiteStore", {"path": str(tmp_path / "a.sqlite3")})
        assert isinstance(store, SQLiteStore)
        assert store.path == tmp_path / "a.sqlite3"

    def test_a_store_may_take_any_option(self):
        store = build(f"{__name__}.Closing", {"host": "h"})
        assert isinstance(store, Closing)
        assert store.options == {"host": "h"}

    @pytest.mark.parametrize(
        ("backend", "options", "message", "hint"),
        [
            (
                "dbroute_panel.stores.SQLLiteStore",
                {},
                "cannot be imported",
                "Did you mean 'dbroute_panel.stores.SQLiteStore'?",
            ),
            ("nowhere", {}, "cannot be imported", "Valid are "),
            ("dbroute_panel.stores.keep", {}, "is not a store", "Did you mean "),
            ("decimal.Decimal", {}, "is not a store", "Valid are "),
            ("dbroute_panel.stores.SQLiteStore", {"pth": "/x"}, "SQLiteStore has no option 'pth'", "'path'"),
            ("dbroute_panel.stores.MemoryStore", {"path": "/x"}, "has no option 'path'", "There is none."),
            ("dbroute_panel.stores.SQLiteStore", {"path": "x.sqlite3"}, "which is not absolute", "BASE_DIR"),
            (f"{__name__}.Failing", {}, "Failing cannot be used: no such server", ""),
        ],
    )
    def test_what_is_wrong_is_said(self, backend, options, message, hint):
        with pytest.raises(InvalidStoreError, match=message) as raised:
            build(backend, options)
        assert hint in raised.value.hint


class TestGetStore:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def test_the_default_is_in_a_file(self, settings, tmp_path):
        settings.DBROUTE_PANEL = {}
        store = get_store()
        assert isinstance(store, SQLiteStore)
        assert store.path.is_relative_to(tmp_path)

    def test_it_stays_while_the_setting_does(self, settings):
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": f"{__name__}.Closing"}}
        store = get_store()
        assert get_store() is store
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": f"{__name__}.Closing"}, "MAX_EVENTS": 5}
        assert get_store() is store
        assert get_store() is store
        assert store.closed is False
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": f"{__name__}.Closing", "OPTIONS": {"a": 1}}}
        other = get_store()
        assert other is not store
        assert other.options == {"a": 1}
        assert store.closed is True

    def test_a_wrong_one_is_logged_once_and_the_default_used(self, settings, caplog):
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": "dbroute_panel.stores.Postgres"}}
        with caplog.at_level(logging.ERROR, "dbroute_panel"):
            assert isinstance(get_store(), SQLiteStore)
            get_store()
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "The store 'dbroute_panel.stores.Postgres' cannot be imported"
        ]

    def test_threads_that_come_first_together_get_the_same(self, settings):
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": f"{__name__}.Closing", "OPTIONS": {"b": 2}}}
        assert panel_settings.STORE["OPTIONS"] == {"b": 2}
        found = together(get_store)
        assert len(found) == 8
        assert len(set(map(id, found))) == 1


class TestKeep:
    def test_a_trace_is_saved_to_the_configured_store(self, settings):
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}}
        lost = stores.lost
        assert keep(a_trace(1)) is True
        assert get_store().get(a_trace(1).id) == a_trace(1)
        assert stores.lost == lost

    def test_a_failure_is_counted_and_logged_once_and_never_raised(
        self, settings, tmp_path, caplog, monkeypatch
    ):
        monkeypatch.setattr(stores, "lost", 0)
        below_a_file = tmp_path / "file" / "traces.sqlite3"
        Path(tmp_path / "file").touch()
        settings.DBROUTE_PANEL = {
            "STORE": {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {"path": below_a_file}}
        }
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert [keep(a_trace(number)) for number in (1, 2, 3)] == [False, False, False]
        assert stores.lost == 3
        assert len(caplog.records) == 1
        assert str(below_a_file) in caplog.text
        assert "Traceback" in caplog.text

    def test_a_trace_that_cannot_be_written_down_is_lost_too(self, settings, monkeypatch):
        monkeypatch.setattr(stores, "lost", 0)
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}}
        assert keep(a_trace(1, started_at="never")) is False
        assert stores.lost == 1
        assert get_store().count() == 0

    def test_an_interrupt_is_not_swallowed(self, settings, monkeypatch):
        settings.DBROUTE_PANEL = {"STORE": {"BACKEND": f"{__name__}.Closing"}}
        store = get_store()

        def interrupted(trace):
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            keep(a_trace(1))


class TestRemembering:
    def test_a_document_is_kept_by_its_name_until_it_is_replaced(self, store):
        assert store.recall("map") is None
        store.remember("map", b"one")
        store.remember("other", b"\x00\xff")
        assert (store.recall("map"), store.recall("other")) == (b"one", b"\x00\xff")
        store.remember("map", b"two")
        assert store.recall("map") == b"two"

    def test_it_is_no_trace(self, store, most):
        store.remember("map", b"one")
        assert store.count() == store.clear() == 0
        assert store.recall("map") == b"one"

    def test_other_processes_see_it(self, tmp_path):
        for document in (b"one", b"two"):
            SQLiteStore(path=tmp_path / "traces.sqlite3").remember("map", document)
            assert SQLiteStore(path=tmp_path / "traces.sqlite3").recall("map") == document
