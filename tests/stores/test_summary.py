"""One summary by its id: as a store looks it up, and as one does that has no way of its own."""

from __future__ import annotations

import pytest

from dbroute_panel.stores import MemoryStore, SQLiteStore, Store
from tests.traces import a_trace


@pytest.fixture(params=[SQLiteStore, MemoryStore])
def some_store(request, tmp_path):
    store = SQLiteStore(path=tmp_path / "x.sqlite3") if request.param is SQLiteStore else MemoryStore()
    yield store
    store.close()


@pytest.mark.parametrize("of_its_own", [True, False])
def test_the_summary_of_one_trace(some_store, of_its_own):
    summary = some_store.summary if of_its_own else lambda trace_id: Store.summary(some_store, trace_id)
    for number in range(150):
        some_store.save(a_trace(number), imported=number == 0)
    assert summary(a_trace(0).id).id == a_trace(0).id
    assert summary(a_trace(0).id).imported
    assert not summary(a_trace(149).id).imported
    assert summary("f" * 32) is None
