"""
Write the tables of ``docs/reliability.md`` from reports: ``make reliability``, after ``make test``.

    python -m tools.reliability [--check] REPORT.xml ... FIGURES.json ...

The reports are pytest's (``--junitxml``), the figures those of ``tools.django_suite`` and
``tools.libraries``; of two for the same Python and Django the newer counts. ``--check`` writes nothing and
exits with 1 if a table differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.reliability import tables
from tools.reliability.reports import DjangoRun, LibraryRun, ReportError, read, read_figures
from tools.reliability.rows import ROWS

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"


def written(document: str, files: list[Path]) -> str:
    """Return the document with each table that the files are about; the others stay as they are."""
    files = sorted(files, key=lambda file: file.stat().st_mtime if file.exists() else 0)
    reports = {report.title: report for report in (read(file) for file in files if file.suffix == ".xml")}
    figures = [run for file in files if file.suffix == ".json" for run in read_figures(file)]
    django = {run.title: run for run in figures if isinstance(run, DjangoRun)}
    libraries = {run.title: run for run in figures if isinstance(run, LibraryRun)}
    if reports:
        chosen = [reports[title] for title in sorted(reports)]
        document = tables.put(document, tables.TESTS, tables.of_tests(ROWS, chosen))
    if django:
        runs = [django[title] for title in sorted(django)]
        document = tables.put(document, tables.DJANGO, tables.of_django(runs))
    if libraries:
        chosen_libraries = [libraries[title] for title in sorted(libraries)]
        document = tables.put(document, tables.LIBRARIES, tables.of_libraries(chosen_libraries))
    return document


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.reliability")
    parser.add_argument("files", nargs="+", type=Path, metavar="REPORT.xml|FIGURES.json")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the tables differ")
    asked = parser.parse_args()
    before = DOCUMENT.read_text()
    try:
        after = written(before, asked.files)
    except ReportError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if asked.check and before != after:
        sys.stderr.write(
            "The tables of docs/reliability.md are of another run. Write them: make reliability\n"
        )
        return 1
    if not asked.check:
        DOCUMENT.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
