"""``dbroute export`` in every format, redacted or not; ``replay`` of what it wrote."""

from __future__ import annotations

import json

import pytest

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import dumps
from dbroute_panel.redaction import redact_trace
from tests.traces import a_trace


@pytest.fixture
def two(store):
    traces = [a_trace(number) for number in (1, 2)]
    for trace in traces:
        store.save(trace)
    return traces


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
