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
        (
            "tests/recording/test_connections.py",
            "tests/recording/test_housekeeping.py",
            "tests/recording/test_connection_errors.py",
        ),
    ),
    Row("The same seed gives the same answers", ("tests/recording/test_same_answers.py",)),
    Row(
        "Each query is linked to its decision",
        (
            "tests/recording/test_answers.py",
            "tests/recording/test_links.py",
            "tests/recording/test_query_source.py",
        ),
    ),
    Row("Random programs, against a backend and a router that take notes", ("tests/fuzz",)),
    Row("Each line of code is the one that asked", ("tests/recording/test_stack.py",)),
    Row(
        "Requests: streamed, async, failing",
        ("tests/recording/test_requests.py", "tests/recording/test_traces.py", "tests/test_middleware.py"),
    ),
    Row(
        "Snapshots of hints and parameters run nothing and keep nothing alive",
        ("tests/recording/test_snapshots.py",),
    ),
    Row("Other people's routers: the same answers, pins and SQL", ("tests/zoo/test_packages.py",)),
    Row("Routers of every shape, exceptions of every kind", ("tests/zoo/test_own_routers.py",)),
    Row("Values, statements and names of every kind", ("tests/faults/test_odd_values.py",)),
    Row("A store that is locked, full, read-only, deleted or corrupt", ("tests/faults/test_store.py",)),
    Row("A clock that jumps", ("tests/faults/test_clock.py",)),
    Row("100,000 queries in a request, 10,000 requests: memory is bounded", ("tests/faults/test_load.py",)),
    Row("Documents come back as they were; any bytes can be imported", ("tests/faults/test_documents.py",)),
    Row("gunicorn and uvicorn, streams, threads, Celery, Django's tasks", ("tests/hosts",)),
    Row(
        "What opens an account is never kept",
        ("tests/masking/test_secrets.py", "tests/security/test_accounts.py"),
    ),
    Row("Passwords, keys and connection strings are not shown", ("tests/security/test_credentials.py",)),
    Row("Who may do what on every page, and CSRF", ("tests/security/test_access.py",)),
    Row("No text becomes markup", ("tests/security/test_markup.py",)),
    Row(
        "File modes, headers, downloads, hostile queries",
        ("tests/security/test_files.py", "tests/security/test_responses.py"),
    ),
    Row("Asking routers: sandbox, map, replay, lint", ("tests/inspection",)),
    Row("Findings, each with what must not be one", ("tests/findings",)),
    Row("Stores: several processes, full, foreign, older", ("tests/stores",)),
    Row("Export and import", ("tests/exports", "tests/importing", "tests/views/test_import.py")),
    Row("Redaction: no planted secret survives in any format", ("tests/redaction",)),
    Row("OpenTelemetry: never in the way of a request", ("tests/telemetry",)),
    Row(
        "Admin pages and who may see them",
        (
            "tests/views/test_access.py",
            "tests/views/test_findings.py",
            "tests/views/test_map.py",
            "tests/views/test_trace.py",
            "tests/views/test_replay.py",
            "tests/views/test_routers.py",
            "tests/views/test_sandbox.py",
        ),
    ),
    Row("The panel of the debug toolbar", ("tests/panel/test_panel.py",)),
    Row("The command", ("tests/cli",)),
    Row("The pytest plugin", ("tests/test_pytest_plugin.py",)),
    Row(
        "Settings and checks", ("tests/test_conf.py", "tests/test_checks.py", "tests/test_routing_checks.py")
    ),
    Row("The scenarios of the example site", ("tests/example_site",)),
    Row("Wheel, sdist, a fresh project, make demo", ("tests/packaging",)),
    Row("The comparison with other people's tests would notice", ("tests/watched", "tests/libraries")),
    Row("The limits below", ("tests/reliability/test_limits.py", "tests/security/test_limits.py")),
]
