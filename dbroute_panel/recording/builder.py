"""
Build the document of a trace from what a recorder appended, which is work that the request was spared.

Only the project's settings, databases and session models are looked up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from dbroute_panel import records
from dbroute_panel.environment import base_dir, databases, dotted_path, relative_path, router_paths
from dbroute_panel.masking.secrets import HARMLESS_TYPES, SessionTables, mask_literals
from dbroute_panel.masking.values import EscapedNames, ValueMasker, escape_name, escape_surrogates
from dbroute_panel.recording.captured import (
    KINDS,
    CapturedCallsite,
    CapturedCommitHook,
    CapturedDecision,
    CapturedEvent,
    CapturedException,
    CapturedQuery,
    CapturedTransaction,
)
from dbroute_panel.recording.recorder import Recorder, log_once
from dbroute_panel.recording.snapshots import capture_parameters, capture_scalar
from dbroute_panel.recording.stack import locate
from dbroute_panel.sql import classify

# Looking up a member of an enum is slow, and these are needed at every event.
ANSWERED, NOT_ASKED = records.Outcome.ANSWERED, records.Outcome.NOT_ASKED
ROUTER, EXPLICIT = records.RouteKind.ROUTER, records.RouteKind.EXPLICIT
CURSOR = records.RouteKind.CURSOR
ROUTES: dict[str, records.RouteKind] = {
    records.DecidedBy.INSTANCE: records.RouteKind.INSTANCE,
    records.DecidedBy.DEFAULT: records.RouteKind.DEFAULT,
}
"""The route of a query by what decided, where no router did."""


class TraceBuilder:
    """
    Builds the records of one recorder.

    Args:
        recorder: The recorder.
        events: Its events, if the recorder may have let go of them.
        only: Tells by its id whether an event belongs to the document; by default all do.
        started: The moment from which times count (``perf_counter_ns()``); by default the recorder's start.
    """

    def __init__(
        self,
        recorder: Recorder,
        events: list[CapturedEvent] | None = None,
        *,
        only: Callable[[int], bool] | None = None,
        started: int | None = None,
    ) -> None:
        self.recorder = recorder
        self.started = recorder.started if started is None else started
        self.raw = sorted((recorder.events if events is None else events)[:], key=attrgetter("id"))
        self.only = only
        self.unwritten = dict.fromkeys(KINDS.values(), 0)
        self.sessions = SessionTables()
        self.values = ValueMasker(params=recorder.params, secrets=recorder.secrets, sessions=self.sessions)
        self.base = base_dir()
        # What recurs is built once.
        self.callsites: dict[tuple[Any, ...], records.Callsite] = {}
        self.latest: tuple[CapturedCallsite | None, records.Callsite | None] = (None, None)
        self.statements: dict[tuple[str, str | None], _Statement] = {}
        self.names = EscapedNames()
        self.no_hints: dict[str, Any] = {}
        self.paths: dict[int, str] = {}
        self.routes = {
            raw.id: ROUTES[raw.decided_by]
            for raw in self.raw
            if type(raw) is CapturedDecision and raw.decided_by in ROUTES
        }

    def events(self) -> list[records.Event]:
        """Return the records. One that cannot be built is left out and counted."""
        written: list[records.Event] = []
        for raw in self.raw:
            if self.only is None or self.only(raw.id):
                try:
                    written.append(BUILDERS[type(raw)](self, raw))
                except Exception:
                    self.unwritten[KINDS[type(raw)]] += 1
                    log_once("dbroute_panel could not write down a recorded %s.", KINDS[type(raw)])
        return written

    def trace(self, name: str, kind: str, ended: int | None = None) -> records.Trace:
        """Return the document up to ``ended`` (``perf_counter_ns()``), by default up to its last event."""
        recorder, begin = self.recorder, self.started
        end = ended or max((getattr(raw, "end", raw.start) for raw in self.raw), default=begin)
        vendors = {raw.alias: raw.vendor for raw in self.raw if type(raw) is CapturedQuery}
        events = self.events()
        return records.Trace(
            id=recorder.trace_id,
            name=self.values.mask_text(name),
            kind=_kind(kind),
            started_at=_rfc3339(recorder, begin - recorder.started),
            duration_us=_microseconds(end - begin),
            request=self.request(),
            databases=databases(vendors),
            routers=router_paths(),
            events=events,
            findings=[],
            session_writes=recorder.session_writes,
            dropped=records.Dropped(
                **{kind: lost + self.unwritten[kind] for kind, lost in recorder.dropped.items()}
            ),
        )

    def request(self) -> records.Request | None:
        request = self.recorder.request
        return request and records.Request(
            method=escape_surrogates(request.method),
            path=self.values.mask_text(request.path),
            view=escape_name(request.view),
            status=request.status,
        )

    # These run for every event, so that what most events lack or have in common costs no call.

    def decision(self, raw: CapturedDecision) -> records.Decision:
        values, site = self.values, raw.site
        return records.Decision(
            id=raw.id,
            action=raw.action,
            at_us=max(0, (raw.start - self.started) // 1000),
            duration_us=(raw.end - raw.start) / 1000,
            model=self.names[raw.model],
            args=None if raw.args is None else values.mask_mapping(raw.args),
            hints=self.no_hints if raw.hints is None else values.mask_mapping(raw.hints),
            steps=self.steps(raw),
            decided_by=raw.decided_by,
            answer=values.mask_value(raw.answer),
            parent_id=raw.parent_id,
            callsite=self.latest[1] if site is self.latest[0] else self.callsite(site),
        )

    def steps(self, raw: CapturedDecision) -> tuple[records.Step, ...]:
        """Return a step for each router. Each but the first begins where the one before it ended."""
        values, paths, begun, steps = self.values, self.paths, raw.start, []
        deciding = raw.last if raw.decided_by is records.DecidedBy.ROUTER else None
        for step in raw.steps:
            router, answer, error, end = step.router, step.answer, step.error, step.end
            steps.append(
                records.Step(
                    router=paths.get(id(router)) or self.path(router),
                    outcome=ANSWERED if step is deciding else step.outcome,
                    answer=None if answer is None else values.mask_value(capture_scalar(answer)),
                    error=None if error is None else values.mask_error(error),
                    duration_us=(end - begun) / 1000,
                )
            )
            begun = end
        steps += [records.Step(router=self.path(router), outcome=NOT_ASKED) for router in raw.routers]
        return tuple(steps)

    def query(self, raw: CapturedQuery) -> records.Query:
        known = self.statements.get((raw.sql, raw.model)) or self.statement(raw)
        sql, operation, writes, secret = known
        params, site, rowcount = raw.params, raw.site, raw.rowcount
        if params is not None:
            if type(params) is bytes:
                params = capture_parameters(params, raw.many)
            if not secret and type(params) is tuple and HARMLESS_TYPES.issuperset(map(type, params)):
                params = self.values.format_harmless(params)
            else:
                secret = secret or self.sessions.has_cache_key(params)
                params = self.values.mask_parameters(params, raw.many, secret)
        if secret:
            sql = mask_literals(escape_surrogates(raw.sql), raw.vendor)
        return records.Query(
            id=raw.id,
            alias=self.names[raw.alias],
            at_us=max(0, (raw.start - self.started) // 1000),
            duration_us=(raw.end - raw.start) / 1000,
            sql=sql,
            params=params,
            many=raw.many,
            operation=operation,
            writes=writes,
            model=self.names[raw.model],
            route=self.route(raw) if raw.decision_id is None else self.routes.get(raw.decision_id, ROUTER),
            decision_id=raw.decision_id,
            instance=None if raw.saved is None else self.values.mask_instance(raw.saved),
            atomic=raw.atomic,
            transaction_number=raw.transaction_number,
            rowcount=rowcount if type(rowcount) is int and 0 <= rowcount <= records.MAX_INTEGER else None,
            error=None if raw.error is None else self.error(raw.error, secret),
            parent_id=raw.parent_id,
            error_code=raw.error_code,
            historical=id(raw.model) in self.recorder.historical,
            callsite=self.latest[1] if site is self.latest[0] else self.callsite(site),
        )

    def statement(self, raw: CapturedQuery) -> _Statement:
        """Return what all queries with this text and model have in common."""
        operation, writes = classify(raw.sql)
        secret = self.sessions.concerns(raw.model, raw.sql)
        sql = "" if secret else self.values.mask_text(raw.sql)
        known = self.statements[raw.sql, raw.model] = _Statement(sql, operation, writes, secret)
        return known

    def error(self, raw: tuple[str, str], secret: bool) -> str | None:
        return escape_surrogates(raw[0]) if secret else self.values.mask_error(raw[1])

    def transaction(self, raw: CapturedTransaction) -> records.Transaction:
        return records.Transaction(
            id=raw.id,
            alias=self.names[raw.alias],
            at_us=max(0, (raw.start - self.started) // 1000),
            operation=raw.operation,
            transaction_number=raw.transaction_number,
            callsite=self.callsite(raw.site),
            by_orm=raw.by_orm,
        )

    def commit_hook(self, raw: CapturedCommitHook) -> records.CommitHook:
        return records.CommitHook(
            id=raw.id,
            at_us=max(0, (raw.start - self.started) // 1000),
            alias=self.names[raw.alias],
            function=escape_surrogates(raw.function),
            robust=raw.robust,
            atomic=raw.atomic,
            outcome=raw.outcome,
            transaction_number=raw.transaction_number,
            callsite=self.callsite(raw.site),
            ended_at_us=None if raw.end is None else max(0, (raw.end - self.started) // 1000),
        )

    def exception(self, raw: CapturedException) -> records.ExceptionRaised:
        return records.ExceptionRaised(
            id=raw.id,
            at_us=max(0, (raw.start - self.started) // 1000),
            error=escape_surrogates(raw.error[0])
            if self.is_secret(raw)
            else self.values.mask_error(raw.error[1]),
            ended=raw.ended,
            alias=self.names[raw.alias],
            transaction_number=raw.transaction_number,
            callsite=self.callsite(raw.site),
            raised_at=self.callsite(raw.raised_at),
            model=self.names[raw.model],
            using=self.names[raw.using],
            other=self.names[raw.other],
        )

    def is_secret(self, raw: CapturedException) -> bool:
        """Return whether this may be the error of a query whose message is not kept."""
        name = raw.error[0]
        failed = [
            one for one in self.raw if type(one) is CapturedQuery and one.error and one.error[0] == name
        ]
        return any(self.query(query).error == escape_surrogates(name) for query in failed)

    def route(self, raw: CapturedQuery) -> records.RouteKind:
        """Return the route of a query without a decision."""
        return raw.told or (EXPLICIT if raw.named else CURSOR)

    def callsite(self, site: CapturedCallsite | None) -> records.Callsite | None:
        if site is None:
            return None
        # By identity, which the events keep unique: a code object is slow to hash.
        key = (id(site.code), site.instruction, site.template, site.entry, site.file)
        if (known := self.callsites.get(key)) is None:
            file, line, function = locate(site)
            tag = site.template
            known = self.callsites[key] = records.Callsite(
                file=relative_path(file, self.base),
                line=line,
                function=escape_surrogates(function),
                template=None if tag is None else (escape_surrogates(tag[0]), tag[1]),
                entry=escape_name(site.entry),
            )
        self.latest = (site, known)
        return known

    def path(self, router: Any) -> str:
        # By identity: comparing routers could run their code.
        if (known := self.paths.get(id(router))) is None:
            known = self.paths[id(router)] = escape_surrogates(dotted_path(router))
        return known


BUILDERS: dict[type, Callable[[TraceBuilder, Any], records.Event]] = {
    CapturedDecision: TraceBuilder.decision,
    CapturedQuery: TraceBuilder.query,
    CapturedTransaction: TraceBuilder.transaction,
    CapturedCommitHook: TraceBuilder.commit_hook,
    CapturedException: TraceBuilder.exception,
}
"""By the class of the event. As an attribute of the builder they would be a reference cycle."""


class _Statement(NamedTuple):
    """What all queries with the same text and model have in common. ``sql`` is empty if it is secret."""

    sql: str
    operation: str
    writes: bool
    secret: bool


def _microseconds(nanoseconds: int) -> float:
    return nanoseconds / 1000


def _kind(kind: str) -> Literal["request", "block", "command", "task"]:
    return kind  # type: ignore[return-value]  # checked where the trace begins


def _rfc3339(recorder: Recorder, ahead: int) -> str:
    moment = recorder.started_at + dt.timedelta(microseconds=ahead // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
