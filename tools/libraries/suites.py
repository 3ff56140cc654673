"""The libraries whose tests are run, and how each is started."""

from __future__ import annotations

import msgspec

from tools.watched.comparison import KINDS

TEST = ["test", "--testrunner=dbroute_watched.runner.Runner", "--noinput"]
DJANGO = ["-m", "dbroute_watched.manage", *TEST]
PYTEST = ["-m", "pytest", "-p", "dbroute_watched.plugin", "-p", "no:cacheprovider", "-q"]


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """
    A version of a library, and the command that runs the tests of its sdist.

    ``command``: the arguments of Python, in ``folder`` of the sdist; ``requires``: what the tests need beyond
    the library; ``records``: kinds of events of which a recorded run must have some.
    """

    project: str
    version: str
    command: list[str]
    folder: str = "."
    requires: list[str] = []
    records: tuple[str, ...] = KINDS

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


SUITES = [
    Suite(
        project="django-multidb-router",
        version="0.11",
        command=[*DJANGO, "--settings=dbroute_settings.multidb", "multidb"],
        # Its tests ask its routers themselves, and have no models.
        records=("queries",),
    ),
    Suite(
        project="django-reversion",
        version="6.4.0",
        folder="tests",
        command=[*DJANGO, "--settings=dbroute_settings.reversion"],
    ),
    Suite(
        project="django-simple-history",
        version="3.13.0",
        command=[
            *["-m", "dbroute_settings.simple_history", *TEST],
            "simple_history.tests",
            "simple_history.registry_tests",
        ],
    ),
    Suite(
        project="djangorestframework",
        version="3.18.3",
        command=[*PYTEST, "-o", "addopts=--tb=short --strict-markers --no-migrations"],
        requires=["dj-database-url>=3.1", "pytest==9.*", "pytest-django>=4.5.2,<5"],
    ),
    Suite(
        project="django-guardian",
        version="3.5.2",
        # Those that must end within a tenth of a second or so, which a busy machine decides.
        command=[*PYTEST, "-k", "not timing and not speed_comparison"],
        requires=["django-environ>=0.12", "pytest>=8.3.4", "pytest-django>=4.9"],
    ),
    Suite(
        project="django-auditlog",
        version="3.4.1",
        folder="auditlog_tests",
        command=[*DJANGO, "--settings=test_settings"],
        requires=["freezegun", "psycopg[binary]"],
    ),
]
