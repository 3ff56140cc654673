"""
The rows of the table in ``docs/reliability.md``: what is tested, and by which tests.

A new row is one line here and a run of ``make reliability``. Paths are pytest's: a folder, a file, or
``file::test``; a test counts in every row that has it.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    title: str
    paths: tuple[str, ...]


ROWS = [
    Row("Routers of every kind are asked as Django asks them", ("tests/recording/test_routers.py",)),
    Row(
        "Queries and transactions do what they do without us",
        ("tests/recording/test_connections.py", "tests/recording/test_missing.py"),
    ),
    Row("The same seed gives the same answers", ("tests/recording/test_same_answers.py",)),
    Row(
        "Each query is linked to its decision",
        ("tests/recording/test_carrier.py", "tests/recording/test_links.py"),
    ),
    Row("Each line of code is the one that asked", ("tests/recording/test_callers.py",)),
    Row(
        "Requests: streamed, async, failing",
        ("tests/recording/test_requests.py", "tests/recording/test_traces.py", "tests/test_middleware.py"),
    ),
    Row(
        "Snapshots of hints and parameters run nothing and keep nothing alive",
        ("tests/recording/test_snapshots.py",),
    ),
    Row("Session keys and password hashes are never kept", ("tests/recording/test_secrets.py",)),
    Row("Asking routers: sandbox, map, replay, lint", ("tests/asking",)),
    Row("Findings, each with what must not be one", ("tests/findings",)),
    Row("Stores: several processes, full, foreign, older", ("tests/stores",)),
    Row("Export and import", ("tests/exports",)),
    Row(
        "Admin pages and who may see them",
        (
            "tests/test_admin_access.py",
            "tests/test_admin_findings.py",
            "tests/test_admin_map.py",
            "tests/test_admin_pages.py",
            "tests/test_admin_replay.py",
            "tests/test_admin_routers.py",
            "tests/test_admin_sandbox.py",
        ),
    ),
    Row("The panel of the debug toolbar", ("tests/test_panel.py",)),
    Row("The command", ("tests/commands",)),
    Row("The pytest plugin", ("tests/test_pytest_plugin.py",)),
    Row(
        "Settings and checks", ("tests/test_conf.py", "tests/test_checks.py", "tests/test_routing_checks.py")
    ),
    Row("The scenarios of the example site", ("tests/example_site",)),
    Row("Wheel, sdist, a fresh project, make demo", ("tests/packaging",)),
    Row("The comparison with Django's own tests would notice", ("tests/django_suite",)),
    Row("The limits below", ("tests/reliability/test_limits.py",)),
]
