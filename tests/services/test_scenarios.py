"""
The scenarios on PostgreSQL, its streaming replicas and MariaDB.

What is the same on every database is asserted by the tests of the embedded configuration, run again here.
Where a server does otherwise than SQLite, the test is in this module.
"""

from __future__ import annotations

from collections import Counter

import pytest

from dbroute_panel.records import Operation, RouteKind
from example_site.scenarios import SCENARIOS
from example_site.scenarios.lagging_replicas import OLD
from tests.example_site.test_scenarios import (  # noqa: F401  (tests that are run here, too)
    REPLICAS,
    test_07_an_object_sticks_to_its_database,
    test_08_one_app_on_a_database_of_its_own,
    test_09_four_answers_to_allow_relation,
    test_11_what_the_routers_are_told,
    test_13_reads_from_both_replicas_when_it_is_run_often,
    test_13_the_walk_through,
    test_14_all_and_using,
    test_15_save_using,
    test_16_moving_an_object,
    test_17_delete_and_delete_using,
    test_18_a_managers_own_method,
    test_19_a_manager_that_forgets_its_database,
    test_20_two_admin_sites,
    test_33_assigning_a_relation_binds_a_new_object,
)
from tests.example_site.test_wrong_scenarios import (  # noqa: F401  (as above)
    codes,
    of,
    test_25_a_page_that_shows_the_old_row,
    test_25_whatever_the_lag_is_before,
    test_26_transactions_of_other_databases,
)

ON_THE_SERVERS = [1, 2, 7, 8, 9, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 25, 26, 33]


@pytest.mark.parametrize("number", [*ON_THE_SERVERS, 3, 27])
def test_exactly_what_is_wrong_is_found(ran, number):
    found = [trace for _, traces in ran(number) for trace in traces]
    assert found
    assert codes(*found) == SCENARIOS[number].expected_findings


def test_a_scenario_with_databases_of_its_own_runs_on_files(ran):
    ((_, (trace,)),) = ran(10)
    assert {database.vendor for database in trace.databases.values()} == {"sqlite", "unknown"}
    assert trace.queries


def test_01_many_databases_of_different_vendors_in_one_request(traces):
    (trace,) = traces(1)
    (replica,) = {query.alias for query in trace.queries} & REPLICAS
    assert Counter(query.alias for query in trace.queries) == {
        "auth_db": 1,
        replica: 1,
        "primary": 1,
        "archive": 2,
        "legacy_users": 1,
        "new_users": 1,
    }
    assert all(query.duration_us > 0 for query in trace.queries)
    assert {
        alias: (found.vendor, found.engine, found.replica_of) for alias, found in trace.databases.items()
    } == {
        "default": ("unknown", "django.db.backends.dummy", None),
        "auth_db": ("sqlite", "django.db.backends.sqlite3", None),
        "primary": ("postgresql", "django.db.backends.postgresql", None),
        "replica1": ("postgresql", "django.db.backends.postgresql", "primary"),
        "replica2": ("postgresql", "django.db.backends.postgresql", "primary"),
        "archive": ("sqlite", "django.db.backends.sqlite3", None),
        "legacy_users": ("mysql", "django.db.backends.mysql", None),
        "new_users": ("sqlite", "django.db.backends.sqlite3", None),
    }


def test_21_raw_sql_with_callproc(only_trace):
    trace = only_trace(21)
    counted, raw, many, called = trace.queries
    (decision,) = trace.decisions
    assert (counted.alias, counted.route, counted.decision_id) == ("primary", RouteKind.CURSOR, None)
    assert (raw.alias, raw.route, raw.decision_id) == (decision.answer, RouteKind.ROUTER, decision.id)
    assert raw.alias in REPLICAS
    assert (raw.model, raw.params) == ("library.Book", ("1980",))
    assert (many.alias, many.route, many.many, many.writes) == ("primary", RouteKind.CURSOR, True, True)
    assert (many.params, many.rowcount) == ((["brass"], ["copper"]), 2)
    assert (called.alias, called.route, called.decision_id) == ("primary", RouteKind.CURSOR, None)
    assert (called.sql, called.params, called.operation) == ("CALL books_before(%s)", ("1980",), "CALL")
    assert called.error is None
    assert called.callsite.file == "example_site/scenarios/using.py"


def test_22_a_foreign_key_across_databases(ran):
    ((part, (trace,)),) = ran(22)
    assert part.lines[-2].startswith("Where the subquery says using(), Django refuses: ValueError: ")
    failed = [query for query in trace.queries if query.error]
    assert [
        ("replica" if query.alias in REPLICAS else query.alias, query.model, query.error.partition(":")[0])
        for query in failed
    ] == [
        ("legacy_users", "users.Loan", "ProgrammingError"),
        ("replica", "library.Book", "ProgrammingError"),
        ("auth_db", "library.Review", "OperationalError"),  # on SQLite
    ]
    missing = [found for found in trace.findings if found.code == "missing-table"]
    queries = {query.id for query in failed}  # beside them stand the decisions that the remedy names
    assert [[number for number in found.events if number in queries] for found in missing] == [
        [query.id] for query in failed
    ]
    for found, table in zip(missing, ("library_book", "users_loan", "library_review"), strict=True):
        assert table in found.message
    assert [(event.alias, event.operation) for event in trace.transactions] == [
        ("auth_db", Operation.BEGIN),
        ("auth_db", Operation.ROLLBACK),
    ]


def test_12_a_table_that_is_not_on_the_replica(ran):
    (_, (in_order,)), (_, (swapped,)) = ran(12)
    assert swapped.queries[-1].error.startswith("ProgrammingError: ")
    assert (codes(in_order), codes(swapped)) == (set(), {"missing-table"})


def test_25_the_old_row_is_what_postgresql_returned(ran):
    ((part, (saving, _)),) = ran(25)
    _, (write, *reads) = of(saving, "stale-read")
    assert {saving.databases[query.alias].vendor for query in (write, *reads)} == {"postgresql"}
    assert (reads[0].model, reads[0].rowcount) == ("library.Book", 1)
    assert part.lines[1] == f"The page that saved it shows “{OLD}”"
