"""docs/reliability.md names what is there, and its counts come from a run."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from tools.libraries.suites import SUITES
from tools.reliability import tables
from tools.reliability.__main__ import DOCUMENT, written
from tools.reliability.reports import DjangoRun, LibraryRun, Report, ReportError, dotted, read
from tools.reliability.rows import ROWS, Row
from tools.watched.comparison import read_noticed

ROOT = DOCUMENT.parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
TEXT = DOCUMENT.read_text()
LIMITS = TEXT.partition("\n## Limits\n")[2]

REPORT = """\
<testsuites><testsuite name="pytest">
<properties><property name="python" value="3.13" /><property name="django" value="6.1" /></properties>
<testcase classname="tests.a.test_one" name="test_x[1]" />
<testcase classname="tests.a.test_one.TestClass" name="test_x" />
<testcase classname="tests.a.test_one_more" name="test_y[a.b]" />
<testcase classname="tests.a.test_one" name="test_z"><skipped message="no" /></testcase>
<testcase classname="{failed}" name="test_f"><failure message="no" /></testcase>
</testsuite></testsuites>
"""


def functions(file):
    """The tests in a file, as pytest names them: ``test`` or ``Class::test``."""
    tree = ast.parse((ROOT / file).read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}::{inner.name}"


def has_tests(path):
    file, _, test = path.partition("::")
    if test:
        return test in functions(file)
    files = (ROOT / file).rglob("test_*.py") if (ROOT / file).is_dir() else [Path(file)]
    return any(name.rpartition("::")[2].startswith("test_") for file in files for name in functions(file))


@pytest.mark.parametrize("path", [path for row in ROWS for path in row.paths])
def test_what_a_row_counts_is_there(path):
    assert has_tests(path)


def test_the_table_has_each_row_once_and_no_other():
    lines = tables.between(TEXT, tables.TESTS).strip().splitlines()
    shown = [line.removeprefix("| ").partition("<br>")[0] for line in lines if "<br>" in line]
    assert shown == [row.title for row in ROWS]
    for line in lines[2:]:
        assert re.search(r"\| \**\d+\** \|$", line)


KINDS = TEXT.partition("<!-- kinds:")[2].partition("<!-- kinds: end -->")[0]
ROWS_OF_KINDS = [line for line in KINDS.splitlines() if line.startswith("| ")][2:]


def test_each_kind_of_mistake_names_its_tests():
    assert len(ROWS_OF_KINDS) >= 15
    for row in ROWS_OF_KINDS:
        files = re.findall(r"`(tests/[\w/]+\.py)`", row.split(" | ")[2])
        assert files, row
        for file in files:
            assert has_tests(file), file


def test_django_s_table_has_a_run_without_us_and_one_with_us():
    lines = tables.between(TEXT, tables.DJANGO)
    assert lines.count(": without us |") == lines.count(": recorded |") >= 1


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED.findall(TEXT))))
def test_each_named_test_is_there(file, test):
    assert test in functions(file)


def test_each_limit_names_its_test():
    limits = re.split(r"^- ", LIMITS, flags=re.MULTILINE)[1:]
    assert len(limits) > 15
    for limit in limits:
        assert NAMED.search(limit), limit


def test_each_test_of_a_limit_is_named():
    named = {test for _file, test in NAMED.findall(LIMITS)}
    assert set(functions("tests/reliability/test_limits.py")) - named == set()


def test_the_document_tells_how_many_of_django_s_tests_notice():
    assert len(read_noticed(ROOT / "tools/django_suite/noticed.toml")) == 1
    assert "There is\none: it compares `connection.execute_wrappers`" in TEXT


# The script


@pytest.fixture
def report(tmp_path):
    file = tmp_path / "report.xml"
    file.write_text(REPORT.format(failed="tests.reliability.test_reliability"))
    return file


def test_a_report_is_counted_by_paths(report):
    found = read(report)
    assert (found.title, found.skipped, len(found.passed)) == ("Python 3.13, Django 6.1", 1, 3)
    assert found.count(["tests/a"]) == 3
    assert found.count(["tests/a/test_one.py"]) == 2
    assert found.count(["tests/a/test_one.py::test_x"]) == 1
    assert found.count(["tests/a/test_one.py::TestClass::test_x", "tests/a/test_one.py::TestClass"]) == 1
    assert found.count(["tests/a/test_one.py::test_z"]) == 0


def test_paths_have_the_names_of_the_report():
    assert dotted("tests/inspection/") == "tests.inspection"
    assert dotted("tests/a/test_b.py::TestC::test_d") == "tests.a.test_b.TestC.test_d"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (REPORT.format(failed="tests.a.test_one"), "tests failed. There is nothing to count."),
        ("<testsuites />", "has no testsuite"),
        ("no xml", "is no report of pytest"),
        ("<testsuites><testsuite /></testsuites>", "does not say which Python and Django"),
    ],
)
def test_a_report_that_says_nothing_is_refused(report, content, words):
    report.write_text(content)
    with pytest.raises(ReportError, match=re.escape(words)):
        read(report)


def test_a_row_without_a_test_that_passed_is_refused():
    with pytest.raises(ReportError, match="No test of the row 'Nothing' passed: tests/b"):
        tables.of_tests([Row("Nothing", ("tests/b",))], [Report("A", ["tests.a.test_x"], 0)])


def test_the_tables_are_written_between_their_marks(tmp_path):
    begin, end = tables.marks(tables.TESTS)
    table = tables.of_tests([Row("One", ("tests/a",))], [Report("A", ["tests.a.test_x"] * 3, 0)])
    document = tables.put(f"before\n{begin}\nold\n{end}\nafter\n", tables.TESTS, table)
    assert document.startswith("before\n")
    assert document.endswith("\nafter\n")
    assert "| One<br>`tests/a` | 3 |" in document
    assert "old" not in document
    assert tables.put(document, tables.TESTS, table) == document
    with pytest.raises(ReportError, match="lacks the two marks"):
        tables.put("before", tables.TESTS, table)


def test_the_runs_of_django_s_tests_are_a_table():
    counts = {"passed": 9, "failed": 1, "error": 1, "decisions": 5, "queries": 7}
    run = DjangoRun("6.1.3", "3.13.0", ["queries"], {"bare": {"passed": 11}, "recording": counts})
    assert tables.of_django([run]).splitlines()[2:] == [
        "| Django 6.1.3, Python 3.13.0: without us | 11 | 0 | 0 | 0 |  |  |",
        "| Django 6.1.3, Python 3.13.0: recorded | 9 | 0 | 0 | 2 | 5 | 7 |",
    ]


def test_the_runs_of_libraries_are_a_table(tmp_path):
    counts = {"passed": 9, "failed": 1, "error": 1, "decisions": 5, "queries": 7}
    bare = {"passed": 11, "skipped": 2}
    run = LibraryRun("some-library 1.0", "6.1.3", "3.13.0", {"bare": bare, "app": counts})
    table = tables.of_libraries([run])
    assert table.splitlines()[2:] == [
        "| some-library 1.0<br>Django 6.1.3, Python 3.13.0 | 11 / 9 | 2 / 0 | 0 / 2 | 5 | 7 |",
    ]
    file = tmp_path / "figures.json"
    file.write_bytes(msgspec.json.encode([run]))
    assert tables.between(written(TEXT, [file]), tables.LIBRARIES).strip() == table


def test_the_document_tells_how_many_tests_of_libraries_notice():
    assert tomllib.loads((ROOT / "tools/libraries/noticed.toml").read_text()) == {}
    assert "`tools/libraries/noticed.toml` is empty" in TEXT


def test_the_table_of_libraries_has_each_of_them():
    lines = tables.between(TEXT, tables.LIBRARIES).strip().splitlines()[2:]
    named = {line.removeprefix("| ").partition("<br>")[0] for line in lines}
    assert named == {str(suite) for suite in SUITES}


def test_what_no_file_is_about_stays_as_it_is():
    assert written(TEXT, []) == TEXT
