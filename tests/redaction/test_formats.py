"""No secret that was planted anywhere in a trace is in any redacted file, whatever the format."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbroute_panel import findings
from dbroute_panel.exports import FORMATS
from dbroute_panel.records import (
    Action,
    Database,
    DecidedBy,
    InstanceRef,
    Outcome,
    Request,
    RouteKind,
    Step,
    dumps,
    loads,
)
from dbroute_panel.redaction import redact_trace
from tests.redaction.positions import ELSEWHERE, POSITIONS
from tests.traces import a_decision, a_finding, a_query, a_trace

pytestmark = pytest.mark.unmeasured

# Digits and letters, so that no format has to escape it, and as no id, time or hash in a file has it.
secrets = st.from_regex(r"[jkqz]{2}[0-9]{3}[jkqz]{3}", fullmatch=True)
numbers = st.from_regex(r"[2-9]{15}", fullmatch=True).map(int)
vendors = st.sampled_from(["sqlite", "postgresql", "mysql", "oracle", "microsoft", "unknown"])

LITERALS = {
    "": [
        "'{}'",
        "N'{}'",
        "'it''s {}'",
        "('a' || '{}')",
        "'a' 'b{}'",
        "'--{}'",
        "'/*{}'",
        "'%%{}'",
        "'\n{}\n'",
    ],
    "postgresql": [
        "E'{}'",
        r"E'\'{}'",
        r"E'\\{}'",
        "$${}$$",
        "$x${}$x$",
        "U&'{}'",
        "'{}'::text",
        "ARRAY['{}']",
    ],
    "mysql": ['"{}"', r"'\'{}'", r'"\"{}"', "_utf8mb4'{}'", "/*! '{}' */ 1", "1 # {}"],
    "sqlite": ['"{}"', "x'{}'"],
    "oracle": ["q'[{}]'", "nq'!{}!'", "DATE '{}'"],
    "microsoft": ['"{}"', "N'{}'"],
}
STATEMENTS = [
    'SELECT "library_book"."id" FROM "library_book" WHERE "library_book"."title" = {}',
    'SELECT a.b FROM "library_book" a WHERE a.x IN ({}, {}, %s) AND a.n = {number}',
    'INSERT INTO "library_book" ("id", "title") VALUES ({number}, {}), (-{number}, {}) RETURNING "id"',
    'UPDATE "library_book" SET "title" = {}, "n" = {number} WHERE "library_book"."id" = {number}',
    'DELETE FROM "library_book" WHERE "title" LIKE {} OR x BETWEEN 0.{number} AND {number}e5',
    "WITH x AS (SELECT {}) SELECT * FROM x -- {secret}\n LIMIT {number}",
    "/* {secret} */ SELECT CASE WHEN a = {} THEN {} ELSE {number} END",
    "CREATE TABLE t (a varchar({number}) DEFAULT {})",
    "CALL refund({}, {number})",
    "SET x = {secret}",
    "SELECT 1; SELECT {secret}",
    "SELECT [it's {secret}], {}",
]


@st.composite
def statements(draw, secret, number, vendor):
    if vendor not in ("postgresql", "oracle") and draw(st.booleans()):
        return draw(st.sampled_from(POSITIONS + ELSEWHERE)).replace("{}", f'"{secret}"') + f" -- {number}"
    choices = LITERALS[""] + LITERALS.get(vendor, [])
    statement = draw(st.sampled_from(STATEMENTS))
    for _ in range(statement.count("{}")):
        statement = statement.replace("{}", draw(st.sampled_from(choices)).replace("{}", secret), 1)
    return statement.replace("{number}", str(number)).replace("{secret}", secret)


@st.composite
def traces(draw):
    """A trace with the secret and the number planted wherever a value of the user's data can be."""
    secret, number, vendor = draw(secrets), draw(numbers), draw(vendors)
    key = draw(st.sampled_from([secret, str(number), f'["{secret}", "{number}"]']))
    error = draw(
        st.sampled_from(
            [
                f"ValueError: {secret}",
                f"django.db.utils.IntegrityError: ({number}, '{secret}')",
                f"django.db.utils.OperationalError: no such table: {secret}",
                f'django.db.utils.ProgrammingError: relation "{secret}" does not exist',
                f"E: {secret}: {number}",
            ]
        )
    )
    ref = InstanceRef(model="library.Book", pk=key, state_db="replica1", adding=False)
    params = draw(
        st.sampled_from([[secret, str(number)], {"title": secret}, [[secret], [str(number)]], None])
    )
    hints = {"instance": ref, "tenant": secret, "number": number, "float": float(number), "other": ref}
    raised = Step(router="r.R", outcome=Outcome.RAISED, error=error, traceback=error)
    sent = {"many": isinstance(params, list) and isinstance(params[0], list), "params": params}
    events = [
        a_decision(1, action=Action.WRITE, hints=hints, answer="primary"),
        a_decision(2, action=Action.RELATION, args={"obj1": ref, "obj2": ref}, hints={}, answer=False),
        a_decision(2, action=Action.RELATION, args={"obj1": secret, "obj2": number}, hints={}, answer=True),
        a_decision(3, hints=hints, steps=[raised], decided_by=DecidedBy.ERROR, answer=None),
        *(
            a_query(
                number_of,
                alias,
                sql=draw(statements(secret, number, vendor)),
                instance=ref,
                route=route,
                operation="UPDATE",
                writes=writes,
                decision_id=decision,
                error=draw(st.sampled_from([error, None])),
                **sent,
            )
            for number_of, (alias, route, decision, writes) in enumerate(
                [
                    ("replica1", RouteKind.ROUTER, 1, True),
                    ("primary", RouteKind.EXPLICIT, None, True),
                    ("replica1", RouteKind.EXPLICIT, None, False),
                    ("primary", RouteKind.CURSOR, None, False),
                ],
                4,
            )
        ),
    ]
    databases = {
        "primary": Database(vendor=vendor, engine="e", replica_of=None),
        "replica1": Database(vendor=vendor, engine="e", replica_of="primary"),
    }
    request = draw(
        st.sampled_from(
            [
                Request(
                    method="GET", path=f"/books/{number}/", view="example_site.library.views.book", status=200
                ),
                Request(method="GET", path=f"/{secret}/", view=None, status=404),
                None,
            ]
        )
    )
    trace = a_trace(
        1,
        name=f"{secret} {number}",
        request=request,
        kind="request" if request else "block",
        events=events,
        databases=databases,
    )
    mine = a_finding("of-another-project", 5)
    found = [*findings.find(trace), type(mine)(code=mine.code, level=mine.level, message=secret, events=[5])]
    return a_trace(
        1,
        name=trace.name,
        request=request,
        kind=trace.kind,
        events=events,
        databases=databases,
        findings=found,
    ), (secret, str(number))


@given(traces())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_planted_secret_survives_in_any_format(planted):
    trace, secrets = planted
    as_it_is = dumps(trace)
    assert all(secret.encode() in as_it_is for secret in secrets)
    left = redact_trace(trace)
    for name, known in FORMATS.items():
        written = b"".join(known.write([left])).lower()
        for secret in secrets:
            assert secret.lower().encode() not in written, name
            assert not re.search(rf"{secret[:-1]}|{secret[1:]}".encode(), written), name
    assert loads(dumps(left)) == left
    assert redact_trace(left) == left


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_secret_where_it_is_not_redacted(name):
    """Else the test above could not fail."""
    trace = a_trace(1, events=[a_query(1, sql="SELECT 'jj123jjj'", params=["jj123jjj"])])
    assert b"jj123jjj" in b"".join(FORMATS[name].write([trace]))
