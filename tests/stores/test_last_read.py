"""The trace that was read last: never another than the store has, whoever changes it; and only one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from dbroute_panel.records import Trace, dumps, loads
from dbroute_panel.stores import SQLiteStore
from dbroute_panel.stores.base import LastRead
from tests.traces import a_query, a_trace

ROOT = Path(__file__).parents[2]

ELSEWHERE = """
import sys, django
from django.conf import settings
settings.configure(INSTALLED_APPS=["dbroute_panel"])
django.setup()
from dbroute_panel.stores import SQLiteStore
from tests.traces import a_trace
store = SQLiteStore(path=sys.argv[1])
if sys.argv[2] == "replace":
    store.save(a_trace(1, aliases=["archive"] * 3))
else:
    store.delete([a_trace(1).id])
store.close()
"""


class Counted:
    """Reads, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, body: bytes) -> Trace:
        self.times += 1
        return loads(body)


class TestLastRead:
    def test_the_same_bytes_are_read_once_and_are_the_same_object(self):
        last, read, body = LastRead(), Counted(), dumps(a_trace(1))
        first = last.get(body, read)
        assert first == a_trace(1)
        assert last.get(bytes(bytearray(body)), read) is first
        assert read.times == 1

    def test_other_bytes_with_the_same_id_are_another_trace(self):
        last, read = LastRead(), Counted()
        last.get(dumps(a_trace(1)), read)
        changed = last.get(dumps(a_trace(1, status=500)), read)
        assert changed is not None
        assert changed.request is not None
        assert changed.request.status == 500
        assert read.times == 2

    def test_only_one_is_held(self):
        # Counted, because what holds it need not be known to the garbage collector.
        last, first = LastRead(), dumps(a_trace(1))
        before = sys.getrefcount(first)
        last.get(first, loads)
        assert sys.getrefcount(first) == before + 1
        last.get(dumps(a_trace(2)), loads)
        assert sys.getrefcount(first) == before

    @pytest.mark.parametrize(("events", "times"), [(LastRead.MAX_EVENTS, 1), (LastRead.MAX_EVENTS + 1, 2)])
    def test_one_with_more_events_than_the_most_is_read_each_time(self, events, times):
        assert LastRead.MAX_EVENTS == 20_000
        last, read = LastRead(), Counted()
        body = dumps(a_trace(1, events=[a_query(n) for n in range(1, events + 1)]))
        last.get(body, read)
        last.get(body, read)
        assert read.times == times

    def test_what_cannot_be_read_is_not_held_and_lets_the_one_before_go(self):
        last, read = LastRead(), Counted()
        last.get(dumps(a_trace(1)), read)
        with pytest.raises(msgspec.MsgspecError):
            last.get(b"{", read)
        assert last.get(b"x", lambda _body: None) is None
        assert last._held is None
        last.get(dumps(a_trace(1)), read)
        assert read.times == 3

    def test_what_another_thread_reads_meanwhile_is_not_given_out(self):
        last, meanwhile = LastRead(), [dumps(a_trace(2))]

        class Compared(bytes):
            """When it is compared with what is asked for, another trace is read."""

            __hash__ = bytes.__hash__

            def __eq__(self, other: object) -> bool:
                if meanwhile:
                    last.get(meanwhile.pop(), loads)
                return bytes(self) == other

        body = dumps(a_trace(1))
        last.get(Compared(body), loads)
        assert last.get(body, loads) == a_trace(1)
        assert meanwhile == []


@pytest.fixture
def store(tmp_path):
    store = SQLiteStore(path=str(tmp_path / "traces.sqlite3"))
    yield store
    store.close()


def elsewhere(store: SQLiteStore, what: str) -> None:
    """Another process does it."""
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(store.path), what], cwd=ROOT, check=True)


class TestStore:
    def test_a_trace_that_was_read_is_not_read_again(self, store):
        store.save(a_trace(1))
        assert store.get(a_trace(1).id) is store.get(a_trace(1).id)

    def test_what_another_process_replaced_is_read_anew(self, store):
        store.save(a_trace(1))
        assert [query.alias for query in store.get(a_trace(1).id).queries] == ["replica1"]
        elsewhere(store, "replace")
        assert [query.alias for query in store.get(a_trace(1).id).queries] == ["archive"] * 3

    def test_what_another_process_deleted_is_gone(self, store):
        store.save(a_trace(1))
        assert store.get(a_trace(1).id) is not None
        elsewhere(store, "delete")
        assert store.get(a_trace(1).id) is None
