"""The tables of ``docs/reliability.md``, each between two marks. They are never written by hand."""

from __future__ import annotations

import re

from tools.reliability.reports import DjangoRun, LibraryRun, Report, ReportError
from tools.reliability.rows import Row

TESTS, DJANGO, LIBRARIES = "tests", "django", "libraries"


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by make reliability -->", f"<!-- {name}: end -->"


def between(document: str, name: str) -> str:
    """Return the text between the two marks."""
    return _split(document, name)[1]


def put(document: str, name: str, table: str) -> str:
    """Return the document with this table between the two marks."""
    before, _old, after = _split(document, name)
    begin, end = marks(name)
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def _split(document: str, name: str) -> tuple[str, str, str]:
    begin, end = marks(name)
    found = re.fullmatch(f"(.*){re.escape(begin)}(.*){re.escape(end)}(.*)", document, re.DOTALL)
    if found is None:
        raise ReportError(f"The document lacks the two marks of its table: {begin} and {end}")
    return found[1], found[2], found[3]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_tests(rows: list[Row], reports: list[Report]) -> str:
    """Return how many tests of each row passed in each run."""
    lines = []
    for row in rows:
        counts = [report.count(row.paths) for report in reports]
        if not all(counts):
            raise ReportError(f"No test of the row {row.title!r} passed: {', '.join(row.paths)}")
        files = " ".join(f"`{path}`" for path in row.paths)
        lines.append([f"{row.title}<br>{files}", *map(str, counts)])
    lines.append(["**All tests**", *(f"**{len(report.passed)}**" for report in reports)])
    lines.append(["Skipped", *(str(report.skipped) for report in reports)])
    return _table(["What is tested", *(report.title for report in reports)], lines)


def of_django(runs: list[DjangoRun]) -> str:
    """Return the outcomes of Django's tests, without dbroute_panel and with it."""
    lines = [
        [
            f"{run.title}: {WORDS[variant]}",
            *(str(run.runs[variant].get(name, 0)) for name in ("passed", "skipped", "expected failure")),
            str(run.runs[variant].get("failed", 0) + run.runs[variant].get("error", 0)),
            *(str(run.runs[variant][name]) if variant != "bare" else "" for name in ("decisions", "queries")),
        ]
        for run in runs
        for variant in run.runs
    ]
    head = [
        "Run",
        "Passed",
        "Skipped",
        "Expected failures",
        "Failed",
        "Decisions recorded",
        "Queries recorded",
    ]
    return _table(head, lines)


def of_libraries(runs: list[LibraryRun]) -> str:
    """Return the outcomes of the tests of libraries, without dbroute_panel and with it."""
    lines = []
    for run in runs:
        bare, watched = run.runs["bare"], run.runs["app"]
        failed = [counts.get("failed", 0) + counts.get("error", 0) for counts in (bare, watched)]
        both = [f"{bare.get(name, 0)} / {watched.get(name, 0)}" for name in ("passed", "skipped")]
        recorded = [str(watched[name]) for name in ("decisions", "queries")]
        lines.append([run.title, *both, f"{failed[0]} / {failed[1]}", *recorded])
    counted = ["Passed, without us / with us", "Skipped", "Failed", "Decisions recorded", "Queries recorded"]
    return _table(["Library", *counted], lines)


WORDS = {"bare": "without us", "recording": "recorded", "app": "recorded, with the app and its store"}
