"""Read the reports of pytest (JUnit XML) and the figures of ``django_suite`` and ``libraries``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import msgspec

ABOUT_THE_TABLES = "tests.reliability.test_reliability."


class ReportError(Exception):
    """The report cannot be used; the message says why."""


class Report(NamedTuple):
    """A run of pytest. ``tests`` are dotted names without parameters, one for each time a test passed."""

    title: str
    passed: list[str]
    skipped: int

    def count(self, paths: Iterable[str]) -> int:
        """Return how many of these tests passed. A test in two of the paths counts once."""
        names = [dotted(path) for path in paths]
        return sum(any(test == name or test.startswith(f"{name}.") for name in names) for test in self.passed)


def dotted(path: str) -> str:
    """Return the name that pytest's report gives to what is in ``path``."""
    file, _, test = path.partition("::")
    module = file.removesuffix(".py").strip("/").replace("/", ".")
    return f"{module}.{test.replace('::', '.')}" if test else module


def read(file: Path) -> Report:
    """Return the report of a run without failures; raise ``ReportError`` for any other."""
    try:
        suite = ElementTree.parse(file).getroot().find("testsuite")
    except (OSError, ElementTree.ParseError) as error:
        raise ReportError(f"{file} is no report of pytest (--junitxml): {error}") from None
    if suite is None:
        raise ReportError(f"{file} has no testsuite: it is no report of pytest (--junitxml).")
    properties = {one.get("name"): one.get("value") for one in suite.iterfind("properties/property")}
    if "python" not in properties:
        raise ReportError(
            f"{file} does not say which Python and Django it is of: it is no report of this suite."
        )
    title = f"Python {properties['python']}, Django {properties['django']}"
    passed, skipped = [], 0
    for case in suite.iterfind("testcase"):
        name = _name(case)
        if any(case.find(what) is not None for what in ("failure", "error")):
            # Those about the tables fail before the tables are written.
            if not name.startswith(ABOUT_THE_TABLES):
                raise ReportError(f"In {file} ({title}) tests failed. There is nothing to count.")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed.append(name)
    return Report(title, passed, skipped)


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}.{(case.get('name') or '').partition('[')[0]}"


class DjangoRun(msgspec.Struct):
    """The figures of Django's own tests: ``runs`` by variant, with outcomes and what was recorded."""

    django: str
    python: str
    labels: list[str]
    runs: dict[str, dict[str, int]]

    @property
    def title(self) -> str:
        return f"Django {self.django}, Python {self.python}"


def read_django(file: Path) -> DjangoRun:
    return msgspec.json.decode(file.read_bytes(), type=DjangoRun)


class LibraryRun(msgspec.Struct):
    """The figures of a library's tests: ``runs`` by variant, as Django's."""

    library: str
    django: str
    python: str
    runs: dict[str, dict[str, int]]

    @property
    def title(self) -> str:
        return f"{self.library}<br>Django {self.django}, Python {self.python}"


def read_figures(file: Path) -> list[DjangoRun | LibraryRun]:
    """Return one run of Django's tests, or those of each library."""
    written = file.read_bytes()
    if written.startswith(b"["):
        return list(msgspec.json.decode(written, type=list[LibraryRun]))
    return [read_django(file)]
