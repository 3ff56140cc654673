"""All of a file or nothing: what becomes of the store where an import fails on the way."""

from __future__ import annotations

import io

import pytest

from dbroute_panel.exports import FORMATS
from dbroute_panel.importing.importer import NotImportedError, PartlyImportedError, import_traces
from dbroute_panel.records import dumps
from dbroute_panel.stores import DatabaseStore, MemoryStore, SQLiteStore, StoreError
from tests.stores.conftest import store_installed, template, traces
from tests.traces import a_trace

__all__ = ["store_installed", "template", "traces"]

MAKING = {
    "sqlite": lambda request: SQLiteStore(path=request.getfixturevalue("tmp_path") / "traces.sqlite3"),
    "memory": lambda request: MemoryStore(),
    "database": lambda request: DatabaseStore(alias=request.getfixturevalue("traces")),
}


@pytest.fixture(params=MAKING)
def store(request, settings):
    made = MAKING[request.param](request)
    # Not before: the database's fixture changes settings for the whole module.
    settings.DBROUTE_PANEL = {"MAX_TRACES": 3}
    for number in (1, 2, 3):
        made.save(a_trace(number))
    yield made
    made.close()


def failing(store, monkeypatch, error, number=6):
    """Let the save of the trace ``number`` fail."""
    real = store.save

    def save(trace, **options):
        if trace.id == a_trace(number).id:
            raise error
        real(trace, **options)

    monkeypatch.setattr(store, "save", save)


def numbers(store):
    return [int(trace.id, 16) for trace in store.traces()]


def a_file(*wanted):
    return io.BytesIO(b"".join(FORMATS["ndjson"].write(map(a_trace, wanted))))


def test_old_traces_are_there_after_an_import_that_failed(store, monkeypatch):
    failing(store, monkeypatch, StoreError("The disk is full."))
    with pytest.raises(StoreError, match=r"^The disk is full\.$"):
        import_traces(a_file(4, 5, 6), store, name="file")
    assert numbers(store) == [1, 2, 3]


def test_old_traces_make_room_once_all_are_imported(store):
    done = import_traces(a_file(4, 5), store, name="file")
    assert done.text == "2 traces imported, 2 older ones had to go."
    assert numbers(store) == [3, 4, 5]


def test_what_is_saved_without_evicting_goes_with_the_next(store):
    store.save(a_trace(4), evict=False)
    assert numbers(store) == [1, 2, 3, 4]
    store.evict()
    assert numbers(store) == [2, 3, 4]
    store.evict()
    assert numbers(store) == [2, 3, 4]


def test_traces_are_imported_where_the_old_ones_cannot_go(store, monkeypatch):
    def evict():
        raise StoreError("The disk is full.")

    monkeypatch.setattr(store, "evict", evict)
    assert import_traces(a_file(4), store, name="file").text == "1 trace imported."
    assert numbers(store) == [1, 2, 3, 4]


@pytest.mark.parametrize("error", [OverflowError("too large"), UnicodeEncodeError("utf-8", "x", 0, 1, "bad")])
def test_whatever_a_store_raises_is_one_message(store, monkeypatch, error):
    failing(store, monkeypatch, error)
    with pytest.raises(StoreError) as caught:
        import_traces(a_file(5, 6), store, name="file")
    assert str(caught.value) == f"The trace {a_trace(6).id} cannot be kept: {type(error).__name__}: {error}."
    assert numbers(store) == [1, 2, 3]


def test_the_first_error_is_told_where_nothing_can_be_deleted_either(store, monkeypatch):
    def delete(ids):
        raise StoreError("The file is locked.")

    failing(store, monkeypatch, StoreError("The disk is full."))
    monkeypatch.setattr(store, "delete", delete)
    with pytest.raises(PartlyImportedError) as caught:
        import_traces(a_file(5, 6), store, name="file")
    assert str(caught.value) == (
        "The disk is full. What had been imported until then could not be deleted: The file is locked."
    )


def test_somebody_who_stops_it_is_not_told_of_anything_else(store, monkeypatch):
    def delete(ids):
        raise StoreError("The file is locked.")

    failing(store, monkeypatch, KeyboardInterrupt())
    monkeypatch.setattr(store, "delete", delete)
    with pytest.raises(KeyboardInterrupt):
        import_traces(a_file(6), store, name="file")


def test_a_file_of_too_many_traces_is_not_read_to_its_end(store):
    file = io.BytesIO(a_file(*range(10, 3000)).getvalue() + b"broken")
    seen = []
    with pytest.raises(NotImportedError, match=r"^file has more new traces than the 3 that are kept"):
        import_traces(file, store, name="file", progress=lambda: seen.append(file.tell()))
    assert len(seen) == 4
    assert seen[-1] < len(file.getvalue()) / 2
    assert dumps(store.get(a_trace(1).id)) == dumps(a_trace(1))
