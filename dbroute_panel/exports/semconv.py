"""
The attributes of spans, by OpenTelemetry's stable semantic conventions, and ``dbroute.*`` beside them.

https://opentelemetry.io/docs/specs/semconv/db/, .../http/ and .../general/attributes/ (``code.*``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dbroute_panel.records import (
    NO_ROUTE,
    Callsite,
    CommitHook,
    Database,
    Decision,
    ExceptionRaised,
    InstanceRef,
    Query,
    Request,
    Step,
    Transaction,
    TypeRef,
)
from dbroute_panel.sql import MAX_SUMMARY_CHARACTERS, Summary

Attribute = str | bool | int | list[str]

SYSTEMS: Final[Mapping[str, str]] = {
    "postgresql": "postgresql",
    "mysql": "mysql",
    "sqlite": "sqlite",
    "oracle": "oracle.db",
    "microsoft": "microsoft.sql_server",
    "cockroachdb": "cockroachdb",
    "clickhouse": "clickhouse",
    "spanner": "gcp.spanner",
}
"""``db.system.name`` by Django's ``connection.vendor``, which is ``mysql`` for MariaDB too."""

OTHER_SYSTEM: Final = "other_sql"

MAX_PARAMETER_SETS: Final = 10
"""The number of sets of parameters of ``executemany()`` that a document keeps."""

METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a process knows of a database's server and a document does not, as the conventions name it."""

    system: str | None = None
    namespace: str | None = None
    address: str | None = None
    port: int | None = None


UNKNOWN_SERVER: Final = ServerInfo()


def drop_none(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    """Return those that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def find_route(request: Request) -> str | None:
    """
    Return the route, where it is known.

    A path begins with a slash; Django's routes do not, and are in its place where values are not kept.
    """
    return None if request.path.startswith("/") or request.path == NO_ROUTE else request.path


def name_request(request: Request) -> str:
    """Return ``GET books/<int:pk>/``. Never a path: each would be another name."""
    method = request.method if request.method in METHODS else "HTTP"
    return f"{method} {find_route(request) or ''}".rstrip()


def request_attributes(request: Request) -> dict[str, Attribute]:
    known = request.method in METHODS
    return drop_none(
        {
            "http.request.method": request.method if known else "_OTHER",
            "http.request.method_original": None if known else request.method,
            "url.path": request.path if request.path.startswith("/") else None,
            "http.route": find_route(request),
            "http.response.status_code": request.status,
            "error.type": str(request.status) if (request.status or 0) >= 500 else None,
            "code.function.name": request.view,
        }
    )


def statement_attributes(query: Query, summary: Summary) -> dict[str, Attribute]:
    """
    Return the attributes of a statement.

    Of ``executemany()`` the first ten sets of parameters are kept, so that from ten on it is a batch of
    unknown size; without any it is not known to be a batch at all.
    """
    sets = len(query.params) if query.many and query.params is not None else 0
    batch = "BATCH " if sets > 1 else ""
    attributes = drop_none(
        {
            "db.operation.name": f"{batch}{query.operation}" if query.operation else None,
            "db.collection.name": summary.table,
            "db.stored_procedure.name": summary.procedure,
            "db.query.summary": f"{batch}{summary.text}"[:MAX_SUMMARY_CHARACTERS] if summary.text else None,
            "db.query.text": query.sql,
            "db.operation.batch.size": sets if 1 < sets < MAX_PARAMETER_SETS else None,
        }
    )
    if query.params is not None and not query.many:
        named = query.params.items() if isinstance(query.params, dict) else enumerate(query.params)
        attributes |= {f"db.query.parameter.{key}": str(value) for key, value in named}
    return attributes


def error_attributes(error: str | None, code: str | int | None = None) -> dict[str, Attribute]:
    status: dict[str, Attribute] = {} if code is None else {"db.response.status_code": str(code)}
    return status if error is None else {"error.type": error.partition(":")[0]} | status


def describe_point(event: Transaction | CommitHook | ExceptionRaised) -> tuple[str, dict[str, Attribute]]:
    """
    Return the name and attributes of what has no duration; an exception's are those of the conventions.

    https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/
    """
    if isinstance(event, Transaction):
        return event.operation, {}
    if isinstance(event, CommitHook):
        said: dict[str, Attribute] = {"dbroute.on_commit.function": event.function}
        return "dbroute.on_commit", said | {"dbroute.on_commit.outcome": event.outcome}
    name, _colon, message = event.error.partition(": ")
    ended: dict[str, Attribute | None] = {
        "exception.type": name,
        "exception.message": message or None,
        "dbroute.exception.ended": event.ended,
    }
    return "exception", drop_none(ended)


def callsite_attributes(callsite: Callsite | None) -> dict[str, Attribute]:
    if callsite is None:
        return {}
    attributes: dict[str, Attribute] = {
        "code.file.path": callsite.file,
        "code.line.number": callsite.line,
        "code.function.name": callsite.function,
    }
    if callsite.template is not None:
        attributes["dbroute.template"] = "{}:{}".format(*callsite.template)
    if callsite.entry is not None:
        attributes["dbroute.entry"] = callsite.entry
    return attributes


def describe_step(step: Step) -> str:
    """Return ``routers.ReplicaRouter: answered replica1``."""
    said = "" if step.answer is None else f" {describe_value(step.answer)}"
    return f"{step.router}: {step.outcome}{said}{f' {step.error}' if step.error else ''}"


def describe_value(value: Any) -> str:
    """Return a hint, an argument or an answer, in a few words."""
    if isinstance(value, InstanceRef):
        return f"{value.model} of {value.state_db or 'no database'}{', adding' if value.adding else ''}"
    return value.type if isinstance(value, TypeRef) else str(value)


def database_attributes(alias: str, database: Database | None, server: ServerInfo) -> dict[str, Attribute]:
    return drop_none(
        {
            "db.system.name": server.system or SYSTEMS.get(database.vendor if database else "", OTHER_SYSTEM),
            "db.namespace": server.namespace,
            "server.address": server.address,
            "server.port": server.port,
            "django.db.alias": alias,
            "dbroute.replica_of": database.replica_of if database else None,
        }
    )


def answer_attributes(decision: Decision) -> dict[str, Attribute]:
    said = decision.answer
    return drop_none(
        {
            "dbroute.decided_by": decision.decided_by,
            "dbroute.router": decision.router,
            "dbroute.answer": said if said is None or isinstance(said, bool) else describe_value(said),
        }
    )
