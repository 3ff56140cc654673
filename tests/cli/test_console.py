"""Columns, encodings and progress, on a stream that says it is a terminal."""

from __future__ import annotations

import io
import time

import pytest
from django.core.management import BaseCommand
from django.core.management.color import no_style

from dbroute_panel.cli.console import (
    Console,
    Styled,
    align_columns,
    escape_control,
    fit_encoding,
    get_text,
    get_width,
    paint,
    truncate,
)


class Terminal(io.StringIO):
    def __init__(self, encoding=None):
        super().__init__()
        self.says = encoding

    @property
    def encoding(self):
        return self.says

    def isatty(self):
        return True


def lines(rows, **options):
    return ["".join(map(get_text, line)) for line in align_columns(rows, **options)]


def test_columns_are_aligned_and_nothing_follows_the_last():
    assert lines([["a", "bbb", "1"], ["cc", "d", "10"]], right=[2]) == ["a   bbb   1", "cc  d    10"]
    assert lines([["a", "bbb"], ["cc", "d"]]) == ["a   bbb", "cc  d"]
    assert lines([]) == []
    assert lines([["a", Styled("b", "ERROR")], ["c", ""]], right=[0]) == ["a  b", "c  "]


def test_wide_and_combining_characters_take_the_columns_that_they_take():
    assert (get_width("abc"), get_width("日本"), get_width("e\u0301")) == (3, 4, 1)
    assert lines([["日本", "x"], ["abcd", "x"]]) == ["日本  x", "abcd  x"]
    assert (truncate("日本語", 4), truncate("abcdef", 4), truncate("abcd", 4)) == ("日…", "abc…", "abcd")


def test_only_what_is_flexible_is_cut_and_the_widest_first():
    row = ["x" * 20, "y" * 40, "z" * 20]
    assert lines([row], flexible=[0, 1], width=70) == [f"{'x' * 20}  {'y' * 25}…  {'z' * 20}"]
    assert lines([row], flexible=[0, 1], width=50) == [f"{'x' * 12}…  {'y' * 12}…  {'z' * 20}"]
    assert lines([row], flexible=[0, 1], width=10) == [f"{'x' * 11}…  {'y' * 11}…  {'z' * 20}"]
    assert lines([row], width=10) == ["  ".join(row)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain · text", "plain · text"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("\ud800", r"\ud800"),
        ("no-break\u00a0space", "no-break space"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_printed(text, shown):
    assert escape_control(text) == shown
    assert escape_control(shown) == shown


def test_encodings():
    assert fit_encoding("é → “x” ×2…", None) == "é → “x” ×2…"
    assert fit_encoding("é → “x” ×2…", "utf-8") == "é → “x” ×2…"
    assert fit_encoding("é → “x” ×2…", "latin-1") == 'é -> "x" x2...'
    assert fit_encoding("é → “x” ×2…", "ascii") == r'\xe9 -> "x" x2...'
    assert paint(Styled("", "ERROR"), no_style()) == ""


@pytest.fixture
def console():
    command = BaseCommand(stdout=Terminal("utf-8"), stderr=Terminal("ascii"))
    console = Console(command, verbosity=1)
    console._next = 0
    return console


def seen(console):
    return console.stdout._out.getvalue(), console.stderr._out.getvalue()


def test_progress_is_one_line_that_is_taken_off_before_anything_is_printed(console):
    console.show_progress(1234, 5000, "kB")
    assert seen(console) == ("", "\r1,234 / 5,000 kB 24%")
    console.show_progress(1300, 5000, "kB")
    assert seen(console) == ("", "\r1,234 / 5,000 kB 24%"), "not more often than ten times a second"
    console._next = 0
    console.show_progress(5, None, "kB")
    assert seen(console)[1].endswith("\r5 kB" + " " * 16)
    console.print("done")
    assert seen(console)[0] == "done\n"
    assert seen(console)[1].endswith("\r    \r")
    console.clear()
    assert seen(console)[1].count("\r") == 4


def test_progress_waits_until_somebody_wants_to_know(console):
    console._next = time.monotonic() + 60
    console.show_progress(1, 2, "kB")
    assert seen(console) == ("", "")


@pytest.mark.parametrize("case", ["pipe", "quiet"])
def test_no_progress_in_a_pipe_or_with_v0(case):
    stderr = io.StringIO() if case == "pipe" else Terminal()
    console = Console(BaseCommand(stdout=Terminal(), stderr=stderr), verbosity=1 if case == "pipe" else 0)
    console._next = 0
    console.show_progress(1, 2, "kB")
    console.clear()
    assert stderr.getvalue() == ""


def test_notes_are_beside_the_answer(console):
    console.note("wrote “é”\x1b[0m")
    assert seen(console) == ("", 'wrote "\\xe9"\\x1b[0m\n')


def test_bytes_go_to_text_as_utf8_even_in_pieces(console):
    console.write_bytes([b"\xc3", b"\xa9\n"])
    assert seen(console) == ("é\n", "")


def test_bytes_go_out_as_they_are():
    raw = io.BytesIO()
    console = Console(BaseCommand(stdout=io.TextIOWrapper(raw, "ascii"), stderr=Terminal()), verbosity=1)
    console.write_bytes(["é\n".encode()])
    console.print("é")
    console.flush()
    assert raw.getvalue() == b"\xc3\xa9\n\\xe9\n"


class Closed(io.StringIO):
    def write(self, text):
        raise BrokenPipeError

    flush = write


def test_a_closed_pipe():
    console = Console(BaseCommand(stdout=Closed(), stderr=Terminal()), verbosity=1)
    for write in (lambda: console.print("x"), lambda: console.write_bytes([b"x"])):
        with pytest.raises(SystemExit) as ended:
            write()
        assert ended.value.code == 141


def test_a_pipe_that_closes_at_the_end():
    out = io.StringIO()
    console = Console(BaseCommand(stdout=out, stderr=Terminal()), verbosity=1)
    console.print("x")

    def flush():
        raise BrokenPipeError

    out.flush = flush
    with pytest.raises(SystemExit) as ended:
        console.flush()
    assert ended.value.code == 141


def test_a_stream_that_somebody_has_closed(tmp_path):
    with (tmp_path / "out").open("w") as out:
        console = Console(BaseCommand(stdout=out, stderr=Terminal()), verbosity=1)
    with pytest.raises(ValueError):  # noqa: PT011 - the words are not ours
        out.flush()
    console.flush()


def test_json_is_valid_and_harmless_whatever_the_encoding():
    for encoding, shown in (("utf-8", '"é\\u001b"'), ("ascii", '"\\u00e9\\u001b"')):
        out = Terminal(encoding)
        Console(BaseCommand(stdout=out, stderr=Terminal()), verbosity=1).print_json("é\x1b")
        assert out.getvalue() == f"{shown}\n"
    out = Terminal("utf-8")
    Console(BaseCommand(stdout=out, stderr=Terminal()), verbosity=1).print_json("é\x9b")
    assert out.getvalue() == '"\\u00e9\\u009b"\n'
