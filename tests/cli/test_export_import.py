"""``dbroute export`` in every format, redacted or not, ``import`` and ``prune``."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import dumps
from dbroute_panel.redaction import redact_trace
from dbroute_panel.stores import StoreError, get_store
from tests.cli.conftest import ROOT
from tests.traces import a_long_trace, a_trace


def save_traces(store, count):
    traces = [a_trace(number + 1) for number in range(count)]
    for trace in traces:
        store.save(trace)
    return traces


@pytest.fixture
def two(store):
    return save_traces(store, 2)


@pytest.fixture
def three(store):
    return save_traces(store, 3)


def ids(store):
    return sorted(int(summary.id, 16) for summary in store.summaries())


# export


def test_one_trace_is_a_document(dbroute, three):
    done = dbroute("export", three[0].id)
    assert (done.out.encode(), done.err, done.code) == (dumps(three[0]) + b"\n", "", 0)


def test_several_are_an_array_in_the_order_asked_for(dbroute, three):
    done = dbroute("export", three[2].id, three[0].id, three[2].id)
    assert [document["id"] for document in json.loads(done.out)] == [three[2].id, three[0].id]


def test_all_are_an_array_oldest_first(dbroute, three, tmp_path):
    file = tmp_path / "all.json"
    done = dbroute("export", "--all", "--output", file)
    assert (done.out, done.err, done.code) == ("", f"3 traces written to {file}.\n", 0)
    assert json.loads(file.read_bytes()) == [json.loads(dumps(trace)) for trace in three]
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_standard_output_is_utf8_whatever_the_terminal(manage, store):
    store.save(a_trace(1, name="Grüße"))
    done = manage("dbroute", "export", "--all", PYTHONIOENCODING="ascii")
    assert json.loads(done.out)["name"] == "Grüße"
    assert "Grüße" in done.out


@pytest.mark.parametrize("arguments", [(), ("--all", "0" * 32)])
def test_either_ids_or_all(dbroute, three, arguments):
    assert dbroute("export", *arguments) == ("", "CommandError: Give the ids of traces, or --all.\n", 2)


def test_an_unknown_id_writes_no_file(dbroute, three, tmp_path):
    file = tmp_path / "some.json"
    file.write_text("as it was")
    done = dbroute("export", three[0].id, "f" * 32, "--output", file)
    assert done.code == 2
    assert done.err.startswith(f"CommandError: No trace '{'f' * 32}'. ")
    assert file.read_text() == "as it was"


def test_an_error_on_the_way_leaves_the_file_as_it_was(dbroute, three, tmp_path, monkeypatch):
    file = tmp_path / "out" / "some.json"
    file.parent.mkdir()
    file.write_text("as it was")
    file.chmod(0o640)
    store = get_store()

    def breaks():
        yield three[0]
        raise StoreError("The disk is gone.")

    with monkeypatch.context() as context:
        context.setattr(store, "traces", breaks)
        done = dbroute("export", "--all", "--output", file)
    assert (done.out, done.err, done.code) == ("", "CommandError: The disk is gone.\n", 1)
    assert file.read_text() == "as it was"
    assert list(file.parent.iterdir()) == [file]
    assert dbroute("export", "--all", "--output", file).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_link_stays_a_link(dbroute, three, tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("")
    link.symlink_to(real)
    dbroute("export", "--all", "--output", link)
    assert link.is_symlink()
    assert len(json.loads(real.read_bytes())) == 3


def test_no_traces_are_an_empty_array(dbroute):
    assert dbroute("export", "--all").out == "[]\n"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("options", [(), ("--redact",)])
def test_it_writes_every_format_redacted_or_not(dbroute, two, tmp_path, name, options):
    file = tmp_path / "out"
    done = dbroute("export", "--all", "--format", name, "--output", file, *options)
    assert (done.out, done.err, done.code) == ("", f"2 traces written to {file}.\n", 0)
    expected = map(redact_trace, two) if options else two
    assert file.read_bytes() == b"".join(FORMATS[name].write(expected))


def test_redacted_goes_to_the_standard_output_too(dbroute, two):
    done = dbroute("export", two[0].id, "--redact")
    assert done.out.encode() == dumps(redact_trace(two[0])) + b"\n"
    assert "/books/42/" not in done.out


def test_a_dash_is_the_standard_output(dbroute, two, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = dbroute("export", two[0].id, "--output", "-")
    assert (done.out.encode(), done.err, done.code) == (dumps(two[0]) + b"\n", "", 0)
    assert dbroute("map", "--format", "json", "--output", "-").out.startswith("{")
    assert not (tmp_path / "-").exists()


def test_an_unknown_format_names_the_nearest(dbroute, two):
    done = dbroute("export", "--all", "--format", "ndjsn")
    assert (done.out, done.code) == ("", 2)
    assert "'ndjson'" in done.err


@pytest.mark.parametrize("name", ["json", "ndjson"])
@pytest.mark.parametrize("options", [(), ("--redact",)])
def test_what_was_exported_is_imported_and_replayed(dbroute, site, store, two, tmp_path, name, options):
    file = tmp_path / f"traces.{name}"
    dbroute("export", "--all", "--format", name, "--output", file, *options)
    replayed = dbroute("replay", file, "--format", "json")
    assert replayed.code == 0
    assert json.loads(replayed.out)["asked"] == 2
    store.clear()
    assert dbroute("import", file).out == "2 traces imported.\n"
    again = tmp_path / "again"
    dbroute("export", "--all", "--format", name, "--output", again)
    assert again.read_bytes() == file.read_bytes()


def test_the_end_of_a_name_says_the_format(dbroute, site, store, tmp_path):
    for name, known in FORMATS.items():
        file = tmp_path / f"trace.{known.extension}"
        assert dbroute("run", "--export", file, "--", "check").code == 0
        (summary,) = store.summaries()
        expected = b"".join(known.write([store.get(summary.id)]))
        assert file.read_bytes() == expected, name
        store.clear()


# import


@pytest.fixture
def file(tmp_path):
    return tmp_path / "traces.json"


@pytest.mark.parametrize("form", ["document", "array", "lines"])
def test_a_round_trip_loses_nothing(dbroute, store, three, file, form):
    if form == "document":
        three = three[:1]
        store.delete([f"{number:032x}" for number in (2, 3)])
    exported = b"".join(dumps(trace) + b"\n" for trace in three)
    if form != "lines":
        dbroute("export", "--all", "--output", file)
        exported = file.read_bytes()
    file.write_bytes(exported)
    store.clear()
    done = dbroute("import", file)
    assert done == (f"{len(three)} trace{'s' if len(three) > 1 else ''} imported.\n", "", 0)
    assert [dumps(trace) for trace in store.traces()] == [dumps(trace) for trace in three]
    assert all(summary.imported for summary in store.summaries())
    if form != "lines":
        again = file.with_name("again.json")
        dbroute("export", "--all", "--output", again)
        assert again.read_bytes() == exported


def test_what_is_there_already_is_skipped(dbroute, store, three, file):
    dbroute("export", "--all", "--output", file)
    assert dbroute("import", file) == ("0 traces imported, 3 were there already.\n", "", 0)
    assert not any(summary.imported for summary in store.summaries())
    store.delete([three[1].id])
    assert dbroute("import", file) == ("1 trace imported, 2 were there already.\n", "", 0)


def test_a_trace_that_is_in_the_file_twice_is_imported_once(dbroute, store, file):
    file.write_bytes(dumps(a_trace(1)) + b"\n" + dumps(a_trace(1)))
    assert dbroute("import", file) == ("1 trace imported.\n", "", 0)


@pytest.mark.parametrize("where", ["store", "file"])
def test_another_trace_with_the_same_id_is_named(dbroute, store, file, where):
    other = dumps(a_trace(1, name="another"))
    if where == "store":
        store.save(a_trace(1))
        file.write_bytes(dumps(a_trace(2)) + b"\n" + other)
    else:
        file.write_bytes(dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)) + b"\n" + other)
    before = ids(store)
    done = dbroute("import", file)
    assert (done.out, done.code) == ("", 1)
    assert done.err == f"CommandError: Nothing was imported: there is another trace with the id {1:032x}.\n"
    assert ids(store) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no traces."),
        (b"[]", "has no traces."),
        (b"<html>", "Line 1: This is no exported trace"),
        (dumps(a_trace(1)) + b"\n" + b'{"schema": "something-else/1"}', "Line 2: This is no trace document"),
        (
            dumps(a_trace(1)) + b"\n" + dumps(a_trace(2))[:-9],
            "Line 2: The document that begins here is not complete.",
        ),
        (
            dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b"trace/2", b"trace/3"),
            "a newer dbroute_panel wrote",
        ),
        (
            dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b"trace/2", b"trace/1"),
            "Line 2: This is a dbroute-trace/1 document, which an earlier version",
        ),
        (dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b"00Z", b"00"), "has no time zone"),
        (dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b'"duration_us"', b'"duration"'), "Line 2: "),
    ],
)
def test_a_broken_file_says_which_line_and_imports_nothing(dbroute, store, file, content, message):
    file.write_bytes(content)
    done = dbroute("import", file)
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith(f"CommandError: {file}")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert store.count() == 0


def test_the_folder_is_no_file(dbroute, tmp_path):
    assert (
        dbroute("import", tmp_path).err
        == f"CommandError: {tmp_path} cannot be read: {os.strerror(errno.EISDIR)}.\n"
    )


def test_the_standard_input_is_a_file_too(manage, store):
    done = manage("dbroute", "import", "-", stdin=dumps(a_trace(1)).decode())
    assert done == ("1 trace imported.\n", "", 0)
    assert ids(store) == [1]


def test_more_traces_than_the_store_keeps_are_refused(dbroute, store, file, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_TRACES": 2}
    file.write_bytes(b"\n".join(dumps(a_trace(number)) for number in (1, 2, 3)))
    done = dbroute("import", file)
    assert (done.out, done.code) == ("", 1)
    assert done.err == (
        f"CommandError: {file} has more new traces than the 2 that are kept: raise MAX_TRACES.\n"
    )
    assert get_store().count() == 0


def test_what_had_to_make_room_is_told(dbroute, store, file, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_TRACES": 2}
    get_store().save(a_trace(1))
    file.write_bytes(dumps(a_trace(2)) + b"\n" + dumps(a_trace(3)))
    assert dbroute("import", file).out == "2 traces imported, 1 older one had to go.\n"


def test_a_store_that_breaks_half_way_keeps_none(dbroute, store, file, monkeypatch):
    file.write_bytes(b"\n".join(dumps(a_trace(number)) for number in (1, 2, 3)))
    real = type(store).save

    def save(self, trace, *, imported=False, evict=True):
        if trace.id == f"{3:032x}":
            raise StoreError("The disk is full.")
        real(self, trace, imported=imported, evict=evict)

    monkeypatch.setattr(type(store), "save", save)
    assert dbroute("import", file) == ("", "CommandError: The disk is full.\n", 1)
    assert store.count() == 0


def test_progress_is_seen_on_a_terminal_and_taken_off_again(terminal, manage, store, tmp_path):
    file = tmp_path / "many.json"
    # Long enough to take more than the half second after which somebody wants to know.
    body = dumps(a_long_trace(0, events=6000))
    with file.open("wb") as out:
        for number in range(1, 21):
            out.write(body.replace(b'"id":"' + b"0" * 32, f'"id":"{number:032x}'.encode()) + b"\n")
    seen = terminal("dbroute", "import", file).out
    assert " kB " in seen
    assert "%" in seen
    last = seen.splitlines()[-1]
    assert last.rpartition("\r")[2] == "20 traces imported."
    store.clear()
    assert manage("dbroute", "import", file) == ("20 traces imported.\n", "", 0)


@pytest.mark.slow
def test_importing_and_exporting_take_constant_memory(environment, tmp_path):
    """200 traces of 1,000 events, about 120 MB of documents, in a process that may not grow by that much."""
    body = dumps(a_long_trace(0, events=1000))
    file = tmp_path / "many.ndjson"
    with file.open("wb") as out:
        for number in range(1, 201):
            out.write(body.replace(b'"id":"' + b"0" * 32, f'"id":"{number:032x}'.encode()) + b"\n")
    assert file.stat().st_size > 100_000_000
    limit = 400 * 1024 * 1024
    for arguments in (
        ("import", file),
        ("export", "--all", "--output", tmp_path / "out.json"),
        ("replay", file),
    ):
        finished = subprocess.run(
            [sys.executable, "-m", "example_site", "dbroute", *map(str, arguments)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        )
        assert finished.returncode == 0, finished.stderr[-2000:]


# prune


def test_all_but_the_newest(dbroute, store, three):
    assert dbroute("prune", "--keep", "2") == ("1 trace deleted, 2 left.\n", "", 0)
    assert ids(store) == [2, 3]
    assert dbroute("prune", "--keep", "2").out == "0 traces deleted, 2 left.\n"
    assert dbroute("prune", "--keep", "0").out == "2 traces deleted, 0 left.\n"


@pytest.mark.parametrize(
    ("age", "left"),
    [("59m", [1]), ("3h", [1, 2]), ("180m", [1, 2]), ("2d", [1, 2, 3]), ("52w", [1, 2, 3, 4])],
)
def test_what_is_older(dbroute, store, age, left):
    for number, hours in ((1, 0), (2, 2), (3, 30), (4, 24 * 100)):
        started = datetime.now(UTC) - timedelta(hours=hours)
        store.save(a_trace(number, started_at=started.isoformat().replace("+00:00", "Z")))
    dbroute("prune", "--older-than", age)
    assert ids(store) == left


def test_both(dbroute, store):
    for number, hours in ((1, 0), (2, 1), (3, 2), (4, 100)):
        started = datetime.now(UTC) - timedelta(hours=hours)
        store.save(a_trace(number, started_at=started.isoformat().replace("+00:00", "Z")))
    assert dbroute("prune", "--keep", "3", "--older-than", "90m").out == "2 traces deleted, 2 left.\n"
    assert ids(store) == [1, 2]


@pytest.mark.parametrize("age", ["7", "d", "7 days", "-1d", "1.5d", "999999999w", "٣d"])
def test_what_is_no_duration(dbroute, store, three, age):
    done = dbroute("prune", f"--older-than={age}")
    assert (done.out, done.code) == ("", 2)
    assert (
        done.err
        == f"CommandError: No duration {age!r}: give a number and a unit, such as 30m, 12h, 7d or 2w.\n"
    )
    assert store.count() == 3


@pytest.mark.parametrize("keep", ["-1", "x", "1.5"])
def test_what_is_no_number(dbroute, three, keep):
    assert (
        dbroute("prune", f"--keep={keep}").err
        == f"CommandError: --keep {keep}: give a whole number of at least 0.\n"
    )
