"""Remove the data from a trace: what stays is who asked what, who answered, and where it went."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django.urls import ResolverMatch, get_script_prefix, resolve
from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.findings.errors import find_missing_table, vendor_of
from dbroute_panel.masking import MASK
from dbroute_panel.records import (
    NO_ROUTE,
    Action,
    Database,
    Decision,
    Event,
    ExceptionRaised,
    Finding,
    InstanceRef,
    Query,
    Request,
    Step,
    Trace,
    TypeRef,
)

from .messages import choose_message, finding_key, with_missing_table
from .statements import without_literals

_CLASS = re.compile(r"[^\W\d][\w.]*")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")

# Raised only after the database has parsed the statement.
_PARSED: Final = frozenset({"IntegrityError"})


def redact_trace(trace: Trace) -> Trace:
    """
    Return ``trace`` without parameters, literals in SQL, primary keys, hint values, error messages and URLs.

    It can be imported and replayed, and redacting it again changes nothing.
    """
    request = trace.request and replace(trace.request, path=route_of(trace.request))
    redacted = replace(
        trace,
        name=request.path if request else trace.kind,
        request=request,
        events=[_Redactor(trace.databases, _mask).event(event) for event in trace.events],
        findings=[],
    )
    return replace(redacted, findings=_redact_findings(trace, redacted)) if trace.findings else redacted


def _mask(value: Any) -> str:
    return MASK


class _Redactor:
    """
    Makes redacted events.

    ``name`` gives the placeholder of a value; ``for_findings`` keeps placeholders of parameters and the name
    of a missing table, so that findings can be found in the events.
    """

    def __init__(
        self, databases: dict[str, Database], name: Callable[[Any], str], *, for_findings: bool = False
    ) -> None:
        self.databases = databases
        self.name = name
        self.for_findings = for_findings

    def event(self, event: Event) -> Event:
        if isinstance(event, Query):
            query = self.query(event)
            table = find_missing_table(event, self.databases) if self.for_findings else None
            return query if table is None else with_missing_table(query, table, self.databases)
        if isinstance(event, ExceptionRaised):
            return replace(event, error=_error_class(event.error))
        return self.decision(event) if isinstance(event, Decision) else event

    def query(self, query: Query) -> Query:
        failed = query.error is not None and _error_class(query.error).rpartition(".")[2] not in _PARSED
        sql = without_literals(query.sql, vendor_of(query, self.databases), failed=failed)
        return replace(
            query,
            sql=sql,
            params=self.parameters(query.params) if self.for_findings else None,
            instance=query.instance and self.instance(query.instance),
            error_code=query.error_code if _is_code(query.error_code) else None,
            error=query.error and _error_class(query.error),
        )

    def decision(self, decision: Decision) -> Decision:
        return replace(
            decision,
            args=decision.args and self.arguments(decision.action, decision.args),
            hints={name: self.hint(value) for name, value in decision.hints.items()},
            steps=tuple(map(self.step, decision.steps)),
        )

    def step(self, step: Step) -> Step:
        if step.error is None and step.traceback is None:
            return step
        return replace(step, error=step.error and _error_class(step.error), traceback=None)

    def arguments(self, action: Action, args: dict[str, Any]) -> dict[str, Any]:
        """Keep the arguments of ``allow_migrate``, which are an alias, an app label and a model's name."""
        return args if action is Action.MIGRATE else {name: self.hint(value) for name, value in args.items()}

    def hint(self, value: Any) -> Any:
        if isinstance(value, InstanceRef):
            return self.instance(value)
        return value if value is None or isinstance(value, TypeRef) else self.name(value)

    def instance(self, ref: InstanceRef) -> InstanceRef:
        return ref if ref.pk is None else replace(ref, pk=self.name(ref.pk))

    def parameters(self, params: Any) -> Any:
        if isinstance(params, dict):
            return {name: self.parameters(value) for name, value in params.items()}
        if isinstance(params, (list, tuple)):
            return type(params)(map(self.parameters, params))
        return None if params is None else self.name(params)


def _is_code(code: str | int | None) -> bool:
    """Return whether it is a number or an SQLSTATE; an imported document may say anything."""
    return isinstance(code, int) or (code is not None and _SQLSTATE.fullmatch(code) is not None)


class _Placeholders(dict[str, str]):
    """A placeholder for each value, the same for the same: what is equal stays equal."""

    def __call__(self, value: Any) -> str:
        return self.setdefault(repr(value), f"{MASK}{len(self) + 1}")


def _redact_findings(trace: Trace, redacted: Trace) -> list[Finding]:
    """
    Return the findings of ``trace`` with messages that hold nothing but what the redacted trace holds.

    The findings are found again in a trace that has placeholders for its values. Their messages are kept if
    they can be made from the redacted trace, too. A finding that cannot be found there (of another project,
    or because it looked at a value) keeps its code, level and events.
    """
    redactor = _Redactor(trace.databases, _Placeholders(), for_findings=True)
    known = replace(redacted, events=[redactor.event(event) for event in trace.events])
    refound = {finding_key(found): found.message for found in findings.find(known, redacted=True)}
    plain = {finding_key(found): found.message for found in findings.find(redacted, redacted=True)}
    return [
        replace(found, message=choose_message(found, refound.get(finding_key(found)), redacted, plain))
        for found in trace.findings
    ]


def _error_class(error: str) -> str:
    """Return the class of ``Class: message``."""
    name = error.partition(":")[0]
    return name if _CLASS.fullmatch(name) else MASK


def route_of(request: Request) -> str:
    """
    Return ``books/<int:pk>/`` for the path ``/books/42/``; a route stays as it is.

    A path that no URL pattern of this project matches, or one of another view than the recorded, is
    "(no route)": so is that of an imported trace of another project.
    """
    path = request.path
    if not path.startswith("/"):
        return path
    prefix = get_script_prefix()
    if path.startswith(prefix):
        path = f"/{path[len(prefix) :]}"
    match = _resolve(path)
    if match is None and request.view is None:  # CommonMiddleware sent it there
        match = _resolve(f"{path}/")
        return NO_ROUTE if match is None else str(match.route)
    if match is None or match._func_path != request.view:
        return NO_ROUTE
    return str(match.route)


def _resolve(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Exception:  # noqa: BLE001 - Resolver404; or a converter of the user's, which may raise anything
        return None
