"""Exported files of every shape, whole and broken, read one trace at a time."""

from __future__ import annotations

import io
import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbroute_panel.exports import FORMATS
from dbroute_panel.importing import reader
from dbroute_panel.importing.reader import ReadError, read_traces
from dbroute_panel.records import dumps, loads
from tests.traces import a_decision, a_long_trace, a_query, a_trace

pytestmark = pytest.mark.unmeasured


class Drip(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content = content
        self.size = size

    def readable(self) -> bool:
        return True

    def read(self, size=-1):
        given, self.content = self.content[: self.size], self.content[self.size :]
        return given


def read_all(content):
    return list(read_traces(io.BytesIO(content)))


def failure(content: bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read_all(content)
    return caught.value


def why(document: bytes) -> str:
    """What msgspec says of it, which each release of it may word in its own way."""
    with pytest.raises(msgspec.ValidationError) as caught:
        loads(document)
    return str(caught.value)


TRACES = [a_trace(1), a_trace(2, events=[]), a_trace(3, name='{"] \\ \u2028 ünï }[')]


def ndjson(traces) -> bytes:
    return b"".join(dumps(trace) + b"\n" for trace in traces)


def pretty(traces) -> bytes:
    return json.dumps([trace.to_dict() for trace in traces], indent=1).encode()


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_what_the_json_export_writes_is_read(number):
    assert read_all(b"".join(FORMATS["json"].write(TRACES[:number]))) == TRACES[:number]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_one_document_a_line_is_read(number):
    assert read_all(ndjson(TRACES[:number])) == TRACES[:number]
    assert read_all(b"\n\r\n" + ndjson(TRACES[:number]).replace(b"\n", b"\r\n\n")) == TRACES[:number]
    assert read_all(ndjson(TRACES[:number]).rstrip()) == TRACES[:number]


@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_what_another_tool_has_formatted_is_read(indent):
    plain = [trace.to_dict() for trace in TRACES]
    assert read_all(json.dumps(plain, indent=indent).encode()) == TRACES
    assert read_all(json.dumps(plain[0], indent=indent, sort_keys=True).encode()) == TRACES[:1]
    assert read_all(json.dumps(plain[0], indent=indent, ensure_ascii=False).encode("utf-8-sig")) == TRACES[:1]


def test_a_text_stream_is_read_as_well():
    assert list(read_traces(io.StringIO(ndjson(TRACES).decode()))) == TRACES
    assert list(read_traces(io.StringIO("\ufeff" + ndjson(TRACES).decode()))) == TRACES


def test_an_empty_file_holds_no_traces():
    assert read_all(b"") == read_all(b" \n\n") == read_all(b"[]") == read_all(b" [ ] \n") == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 5000])
@pytest.mark.parametrize("write", [ndjson, pretty, lambda traces: b"".join(FORMATS["json"].write(traces))])
def test_pieces_may_end_anywhere(size, write):
    assert list(read_traces(Drip(write(TRACES), size))) == TRACES
    assert list(read_traces(Drip(b"\xef\xbb\xbf" + write(TRACES), size))) == TRACES


TEXT = st.text(max_size=30) | st.text('"\\{}[],:\n\t', max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(TEXT, min_size=1, max_size=4), size=st.integers(1, 400), indent=st.sampled_from([None, 1])
)
def test_whatever_the_texts_hold_the_documents_are_found(texts, size, indent):
    traces = [a_trace(number, name=text, events=[a_query(sql=text)]) for number, text in enumerate(texts)]
    for content in (ndjson(traces), json.dumps([t.to_dict() for t in traces], indent=indent).encode()):
        assert list(read_traces(Drip(content, size))) == traces


def test_a_long_trace_comes_back_as_it_was():
    trace = a_long_trace(events=5000)
    assert read_all(ndjson([trace, trace])) == [trace, trace]


def test_the_file_is_never_whole_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_BYTES", 1 << 16)
    line = dumps(a_trace(1, events=[a_decision(id) for id in range(1, 100)]))
    for separator, begin, end in ((b"\n", b"", b"\n"), (b",", b"[", b"]")):
        file = tmp_path / "traces"
        file.write_bytes(begin + separator.join([line] * 300) + end)
        assert file.stat().st_size > 100 * (1 << 16)
        with file.open("rb") as stream:
            tracemalloc.start()
            try:
                assert sum(len(trace.events) for trace in read_traces(stream)) == 99 * 300
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert most < 1_500_000, most


def test_a_trace_is_there_before_the_next_is_read():
    stream = Drip(ndjson(TRACES) + b"broken", 10)
    traces = read_traces(stream)
    assert next(traces) == TRACES[0]
    assert len(stream.content) > len(dumps(TRACES[2]))
    assert [next(traces), next(traces)] == TRACES[1:]
    with pytest.raises(ReadError, match=r"^Line 4: A trace document was expected here\.$"):
        next(traces)


# What is wrong, and where


@pytest.mark.parametrize(
    "content",
    [b"id,alias,sql\n1,primary,SELECT", b"<!doctype html>", b'"text"', b"1", b"null", b"\x1f\x8b\x08",
     "{}".encode("utf-16")],
)  # fmt: skip
def test_a_file_that_is_something_else_is_said_to_be(content):
    error = failure(content)
    assert (
        str(error) == "Line 1: This is no exported trace: a JSON document or array of documents was expected."
    )
    assert (error.line, error.element) == (1, None)


def test_a_foreign_document_is_said_to_be_one():
    error = failure(b'{"displayTimeUnit": "ms", "traceEvents": []}')
    assert str(error).startswith("Line 1: This is no trace document: ")
    assert "schema" in error.reason  # the name of the field that is missing
    assert str(failure(b'{"schema": "har/1"}')) == (
        "Line 1: This is no trace document: its schema is 'har/1', not 'dbroute-trace/2'."
    )
    assert "its schema is 'dbroute-trace/next'" in str(failure(b'{"schema": "dbroute-trace/next"}'))
    assert why(b'{"schema": 1}') in str(failure(b'{"schema": 1}'))


@pytest.mark.parametrize("schema", ["9" * 5001, "dbroute-trace/" + "9" * 5001, "x" * 5001])
def test_however_long_a_schema_is_the_message_stays_short(schema):
    said = str(failure(json.dumps({"schema": schema}).encode()))
    assert "no trace document: its schema is" in said
    assert "…" in said
    assert len(said) < 200


def test_however_long_an_id_is_the_message_stays_short():
    broken = TRACES[0].to_dict() | {"id": "a" * 5001}
    assert len(str(failure(json.dumps(broken).encode()))) < 200


def test_a_newer_schema_is_named():
    newer = dumps(TRACES[0]).replace(b"dbroute-trace/2", b"dbroute-trace/3")
    error = failure(dumps(TRACES[1]) + b"\n\n" + newer)
    assert str(error) == (
        "Line 3: This is a dbroute-trace/3 document, which a newer dbroute_panel wrote; "
        "this one reads dbroute-trace/2."
    )


@pytest.mark.parametrize("version", [0, 1])
def test_an_older_schema_is_named_with_what_to_do(version):
    """Whatever its fields were called: they are not looked at."""
    older = json.dumps(
        {"schema": f"dbroute-trace/{version}", "id": "0" * 32, "events": [{"settled_by": "router"}]}
    )
    assert str(failure(dumps(TRACES[1]) + b"\n" + older.encode())) == (
        f"Line 2: This is a dbroute-trace/{version} document, which an earlier version of dbroute_panel "
        "wrote; this one reads dbroute-trace/2. Record the trace again."
    )


def test_a_document_that_breaks_a_rule_says_where():
    wrong = dumps(TRACES[0]).replace(b'"db_for_read"', b'"db_for_reading"')
    reason = f"This is no trace document: {why(wrong)}"
    assert str(failure(ndjson(TRACES[1:]) + wrong)) == f"Line 3: {reason}"
    error = failure(b"[" + dumps(TRACES[1]) + b",\n" + dumps(TRACES[2]) + b",\n" + wrong + b"]")
    assert str(error) == f"Element 3 (line 3): {reason}"
    assert (error.line, error.element, error.reason) == (3, 3, reason)


def test_the_line_of_a_mistake_inside_a_document_over_many_lines():
    content = pretty(TRACES).replace(b'"kind": "request"', b'"kind": request', 2)
    content = content.replace(b'"kind": request', b'"kind": "request"', 1)
    lines = content.splitlines()
    error = failure(content)
    assert lines[error.line - 1].strip() == b'"kind": request,'
    assert error.element == 2
    assert error.reason.startswith("This is no JSON: ")


@pytest.mark.parametrize("wrong", [b"NaN", b"-Infinity", b"01", b"tru", b"1.e5", b"'GET'"])
def test_the_line_of_what_is_no_value(wrong):
    """Also of the constants that the standard library takes for numbers, and not where a text names them."""
    content = b'{\n"x": ["NaN", "\\"Infinity"],\n"y": [\n' + wrong + b"\n]}"
    error = failure(content)
    assert error.line == 4
    assert error.reason.startswith("This is no JSON: ")


@pytest.mark.parametrize("id", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"])
def test_an_id_that_is_none_is_refused(id):
    assert failure(dumps(a_trace(id=id))).reason == f"The id {id!r} is not 32 hexadecimal digits."


def test_a_time_that_is_none_is_refused():
    error = failure(dumps(a_trace(started_at="yesterday")))
    assert error.reason == (
        f"The trace {a_trace().id}: the trace's started_at, 'yesterday', is no time as in RFC 3339."
    )


def test_a_file_cut_off_is_not_complete():
    whole = ndjson(TRACES[:2])
    for content, line in ((whole[:-10], 2), (whole[:400], 1), (b"[" + dumps(TRACES[0])[:-1], 1)):
        error = failure(content)
        assert error.reason == "The document that begins here is not complete."
        assert error.line == line
    unclosed = pretty(TRACES)[:-1]
    error = failure(unclosed)
    assert (error.line, error.element) == (unclosed.count(b"\n") + 1, 3)
    assert error.reason == "After it, a comma or the end of the array was expected."


def test_a_line_cut_off_does_not_swallow_the_next():
    first, second = dumps(TRACES[0]), dumps(TRACES[2])
    for cut in (len(second) // 2, len(second) - 1, 5):
        error = failure(first + b"\n" + second[:cut] + b"\n" + ndjson(TRACES))
        assert error.line == 2, (cut, str(error))
    cut = second.index(b'"events":[') + len(b'"events":[')
    stream = Drip(first + b"\n" + second[:cut] + b"\n" + ndjson(TRACES), 100)
    with pytest.raises(ReadError):
        list(read_traces(stream))
    assert len(stream.content) > len(ndjson(TRACES)) - 200


def test_a_text_without_an_end_is_found_on_its_line():
    broken = b'{\n"schema": "dbroute-trace/2,\n"id": "x"}'
    assert str(failure(broken)) == (
        "Line 2: A text in quotes has no end on its line, or holds a control character."
    )
    assert failure(b'{"schema": "a\x00b"}').line == 1
    assert failure(b'{"schema": "a\\').reason == "The document that begins here is not complete."


@pytest.mark.parametrize(
    ("content", "line", "element", "reason"),
    [
        (b"[%s,\n]", 2, 2, "A trace document was expected here."),
        (b"[%s\n,5]", 2, 2, "A trace document was expected here."),
        (b"[[%s]]", 1, 1, "A trace document was expected here."),
        (b"[,%s]", 1, 1, "A trace document was expected here."),
        (b"[", 1, 1, "A trace document was expected here."),
        (b"[%s %s]", 1, 1, "After it, a comma or the end of the array was expected."),
        (b"[%s", 1, 1, "After it, a comma or the end of the array was expected."),
        (b"[%s]\n[]", 2, None, "There is something after the end of the array."),
        (b"[]]", 1, None, "There is something after the end of the array."),
        (b"%s\n,%s", 2, None, "A trace document was expected here."),
        (b"%s\nnull", 2, None, "A trace document was expected here."),
    ],
)
def test_what_belongs_elsewhere_is_refused(content, line, element, reason):
    error = failure(content.replace(b"%s", dumps(TRACES[1])))
    assert (error.line, error.element, error.reason) == (line, element, reason)


def test_after_a_document_over_many_lines_nothing_follows():
    document = json.dumps(TRACES[1].to_dict(), indent=1).encode()
    error = failure(document + b"\n" + dumps(TRACES[0]))
    assert error.reason == "There is something after the end of the document."
    assert error.line == document.count(b"\n") + 2


def test_what_is_not_utf8_is_refused():
    error = failure(ndjson(TRACES[:1]) + dumps(TRACES[0]).replace(b"GET", b"\xff\xfe", 1))
    assert str(error) == "Line 2: This is not UTF-8 (byte 0xff)."
    error = failure(pretty(TRACES).replace(b"GET", b"G\xc3\x28T", 1))
    line = next(number for number, text in enumerate(pretty(TRACES).splitlines(), 1) if b"GET" in text)
    assert (error.line, error.reason) == (line, "This is not UTF-8 (byte 0xc3).")


def test_a_part_that_nobody_reads_is_utf8_too():
    for unknown in (b'"\xff"', b'["\xed\xa0\x80"]', b'{"\xff": 1}'):
        error = failure(b'{"x": ' + unknown + b"," + dumps(TRACES[0])[1:])
        assert error.reason.startswith("This is not UTF-8 (byte 0x")
    with pytest.raises(ReadError, match=r"^Line 1: This is not UTF-8 \(byte 0xed\)\.$"):
        list(read_traces(io.StringIO('{"x": "\ud800"}')))


def nested(depth: int, begin: bytes) -> bytes:
    """A document of so many levels: the trace, its events, a query, its parameters, and what is in these."""
    end = {b"[": b"]", b"{": b"}"}[begin.strip()[:1]]
    inside = begin * (depth - 5) + begin.strip()[:1] + end * (depth - 4)
    document = dumps(a_trace(1, events=[a_query(1, params=("x",))]))
    return document.replace(b'"params":["x"]', b'"params":[' + inside + b"]")


@pytest.mark.parametrize("begin", [b"[", b'{"a":', b"\n[", b'\n{"a":\n'])
@pytest.mark.parametrize("size", [7, 1000, 1_000_000])
def test_a_document_nested_too_deeply_is_refused_by_every_python_alike(begin, size):
    (trace,) = read_traces(Drip(nested(reader.MAX_DEPTH, begin), size))
    assert json.dumps(trace.to_dict()).count(begin.strip()[:1].decode()) >= reader.MAX_DEPTH - 4
    for depth in (reader.MAX_DEPTH + 1, 20_000):
        with pytest.raises(ReadError) as caught:
            list(read_traces(Drip(nested(depth, begin), size)))
        assert str(caught.value) == "Line 1: This is no trace document: it is nested too deeply."


def test_what_is_not_known_is_not_nested_too_deeply_either():
    unknown = b'{"a":' * 100_000 + b"{}" + b"}" * 100_000
    assert failure(unknown).reason == "This is no trace document: it is nested too deeply."


def test_a_document_without_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(reader, "MAX_DOCUMENT_BYTES", 1_000_000)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            self.given += size
            return b'{"a":[' + b"1," * (size // 2)

    stream = Endless()
    with pytest.raises(ReadError, match="too large to be a trace"):
        list(read_traces(stream))
    assert stream.given < 4_000_000
