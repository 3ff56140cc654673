"""A trace without the data in it: what stays is who asked what, who answered, and where it went."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django.urls import ResolverMatch, get_script_prefix, resolve
from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.findings.errors import missing_table_of, vendor_of
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

from .messages import about_missing_table, chosen, key
from .statements import without_literals

_CLASS = re.compile(r"[^\W\d][\w.]*")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")

# What goes wrong with a statement only once the database has read it.
_UNDERSTOOD: Final = frozenset({"IntegrityError"})


def redacted(trace: Trace) -> Trace:
    """
    ``trace`` without parameters, literals in SQL, primary keys, hint values, error messages and URLs.

    It can be imported and replayed, and redacting it again changes nothing.
    """
    request = trace.request and replace(trace.request, path=route_of(trace.request))
    shown = replace(
        trace,
        name=request.path if request else trace.kind,
        request=request,
        events=[_Redactor(trace.databases, _masked).event(event) for event in trace.events],
        findings=[],
    )
    return replace(shown, findings=_findings(trace, shown)) if trace.findings else shown


def _masked(value: Any) -> str:
    return MASK


class _Redactor:
    """Makes redacted events. ``name`` says what stands for a value; ``found``: to find findings in."""

    def __init__(
        self, databases: dict[str, Database], name: Callable[[Any], str], *, found: bool = False
    ) -> None:
        self.databases = databases
        self.name = name
        self.found = found

    def event(self, event: Event) -> Event:
        if isinstance(event, Query):
            query = self.query(event)
            table = missing_table_of(event, self.databases) if self.found else None
            return query if table is None else about_missing_table(query, table, self.databases)
        if isinstance(event, ExceptionRaised):
            return replace(event, error=_class(event.error))
        return self.decision(event) if isinstance(event, Decision) else event

    def query(self, query: Query) -> Query:
        failed = query.error is not None and _class(query.error).rpartition(".")[2] not in _UNDERSTOOD
        sql = without_literals(query.sql, vendor_of(query, self.databases), failed=failed)
        return replace(
            query,
            sql=sql,
            params=self.parameters(query.params) if self.found else None,
            instance=query.instance and self.instance(query.instance),
            error_code=query.error_code if _is_code(query.error_code) else None,
            error=query.error and _class(query.error),
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
        return replace(step, error=step.error and _class(step.error), traceback=None)

    def arguments(self, action: Action, args: dict[str, Any]) -> dict[str, Any]:
        """Of ``allow_migrate`` an alias, an app label and a model's name; else objects, or what was given."""
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
    """Whether it is a number or an SQLSTATE, also where somebody wrote the document."""
    return isinstance(code, int) or (code is not None and _SQLSTATE.fullmatch(code) is not None)


class _Names(dict[str, str]):
    """A name for each value, the same for the same: what is equal stays equal."""

    def __call__(self, value: Any) -> str:
        return self.setdefault(repr(value), f"{MASK}{len(self) + 1}")


def _findings(trace: Trace, shown: Trace) -> list[Finding]:
    """
    The findings of ``trace`` as they read where nothing but the redacted trace is known.

    They are found anew in a trace that has names for its values. Of such a message that is kept which can be
    made from the redacted trace, too: a finding that cannot be found there (of somebody else's project, or
    because it looked at a value) keeps its code, level and events.
    """
    redactor = _Redactor(trace.databases, _Names(), found=True)
    known = replace(shown, events=[redactor.event(event) for event in trace.events])
    anew = {key(found): found.message for found in findings.find(known, redacted=True)}
    plain = {key(found): found.message for found in findings.find(shown, redacted=True)}
    return [
        replace(found, message=chosen(found, anew.get(key(found)), shown, plain)) for found in trace.findings
    ]


def _class(error: str) -> str:
    """The class of ``Class: message``."""
    name = error.partition(":")[0]
    return name if _CLASS.fullmatch(name) else MASK


def route_of(request: Request) -> str:
    """
    ``books/<int:pk>/`` for the path ``/books/42/``; what is a route already stays.

    A path that no route of this project stands for, or one of another view than the recorded, is
    "(no route)": so is that of an imported trace of another project.
    """
    path = request.path
    if not path.startswith("/"):
        return path
    prefix = get_script_prefix()
    if path.startswith(prefix):
        path = f"/{path[len(prefix) :]}"
    match = _resolved(path)
    if match is None and request.view is None:  # CommonMiddleware sent it there
        match = _resolved(f"{path}/")
        return NO_ROUTE if match is None else str(match.route)
    if match is None or match._func_path != request.view:
        return NO_ROUTE
    return str(match.route)


def _resolved(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Exception:  # noqa: BLE001 - Resolver404; or a converter of the user's, which may raise anything
        return None
