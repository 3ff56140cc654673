"""
From what a recorder appended to the finished document: the work that the request was spared.

Pure but for what it looks up of the project: its settings, its databases, which models are sessions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from dbroute_panel import records
from dbroute_panel.recording.project import base_dir, databases, relative_to, routers
from dbroute_panel.recording.raw import KINDS, RawDecision, RawEvent, RawQuery, RawStep, RawTransaction
from dbroute_panel.recording.recorder import Recorder, complain
from dbroute_panel.recording.secrets import Sessions, without_literals
from dbroute_panel.recording.sites import Site, Template, place
from dbroute_panel.recording.snapshots import dotted, parameters, scalar
from dbroute_panel.recording.statements import read
from dbroute_panel.recording.values import Values, name_of, text_of

ROUTES: dict[str, records.Route] = {
    records.Settled.ROUTER: records.Route.ROUTER,
    records.Settled.INSTANCE: records.Route.INSTANCE,
    records.Settled.DEFAULT: records.Route.DEFAULT,
}


class Writer:
    """
    Makes the records of one recorder.

    ``only``: which events, by id; the rest is left out. ``started`` (``perf_counter_ns()``): from when
    their times count, where that is not the recorder's start.
    """

    def __init__(
        self,
        recorder: Recorder,
        only: Callable[[int], bool] = lambda event: True,
        started: int | None = None,
    ) -> None:
        self.recorder = recorder
        self.started = recorder.started if started is None else started
        self.raw = sorted(recorder.events[:], key=_by_id)
        self.only = only
        self.unwritten = dict.fromkeys(KINDS.values(), 0)
        self.sessions = Sessions()
        self.values = Values(recorder, self.sessions)
        self.base = base_dir()
        # What the same line of code leads to again and again is made once, and is then the same object.
        self.callsites: dict[tuple[int, int, Template | None], records.Callsite] = {}
        self.statements: dict[tuple[str, str | None], _Statement] = {}
        self.paths: dict[int, str] = {}
        self.settled = {raw.id: raw.settled_by for raw in self.raw if type(raw) is RawDecision}

    def events(self) -> list[records.Event]:
        written = (self.written(raw) for raw in self.raw if self.only(raw.id))
        return [event for event in written if event is not None]

    def written(self, raw: RawEvent) -> records.Event | None:
        """The record; None for one that an error of ours costs, which is counted."""
        try:
            return WRITERS[type(raw)](self, raw)
        except Exception:
            self.unwritten[KINDS[type(raw)]] += 1
            complain("dbroute_panel could not write down a recorded %s.", KINDS[type(raw)])
            return None

    def trace(self, name: str, kind: str, ended: int | None = None) -> records.Trace:
        """The document; ``ended`` (``perf_counter_ns()``): until then, else until its last event."""
        recorder, begin = self.recorder, self.started
        end = ended or max((getattr(raw, "end", raw.start) for raw in self.raw), default=begin)
        vendors = {raw.alias: raw.vendor for raw in self.raw if type(raw) is RawQuery}
        events = self.events()
        return records.Trace(
            id=recorder.trace_id,
            name=self.values.clean(name),
            kind=_kind(kind),
            started_at=_rfc3339(recorder, begin - recorder.started),
            duration_us=_microseconds(end - begin),
            request=self.request(),
            databases=databases(vendors),
            routers=routers(),
            events=events,
            findings=[],
            dropped=records.Dropped(
                **{kind: lost + self.unwritten[kind] for kind, lost in recorder.dropped.items()}
            ),
        )

    def request(self) -> records.Request | None:
        request = self.recorder.request
        return request and records.Request(
            method=text_of(request.method),
            path=self.values.clean(request.path),
            view=name_of(request.view),
            status=request.status,
        )

    def decision(self, raw: RawDecision) -> records.Decision:
        return records.Decision(
            id=raw.id,
            action=raw.action,
            at_us=self.at(raw.start),
            duration_us=_microseconds(raw.end - raw.start),
            model=name_of(raw.model),
            args=None if raw.args is None else self.values.each(raw.args),
            hints={} if raw.hints is None else self.values.each(raw.hints),
            steps=[
                *self.steps(raw),
                *(
                    records.Step(router=self.path(router), outcome=records.Outcome.NOT_ASKED)
                    for router in raw.routers
                ),
            ],
            settled_by=raw.settled_by,
            answer=self.values.one(raw.answer),
            parent=raw.parent,
            callsite=self.callsite(raw.site),
        )

    def steps(self, raw: RawDecision) -> list[records.Step]:
        """The records of the routers that were asked."""
        return [self.step(step, raw) for step in raw.steps]

    def step(self, step: RawStep, raw: RawDecision) -> records.Step:
        """The record of a step in a decision."""
        settles = step is raw.last and raw.settled_by is records.Settled.ROUTER
        return records.Step(
            router=self.path(step.router),
            outcome=records.Outcome.ANSWERED if settles else step.outcome,
            answer=self.values.one(scalar(step.answer)),
            error=self.values.error(step.error),
            duration_us=_microseconds(step.end - (raw.start if step.before is None else step.before.end)),
        )

    def query(self, raw: RawQuery) -> records.Query:
        statement = self.statement(raw)
        params = parameters(raw.params, raw.many) if type(raw.params) is bytes else raw.params
        secret = statement.secret or self.sessions.are_named(params)
        return records.Query(
            id=raw.id,
            alias=text_of(raw.alias),
            at_us=self.at(raw.start),
            duration_us=_microseconds(raw.end - raw.start),
            sql=without_literals(text_of(raw.sql), raw.vendor) if secret else statement.sql,
            params=self.values.parameters(params, raw.many, secret),
            many=raw.many,
            operation=statement.operation,
            writes=statement.writes,
            model=name_of(raw.model),
            route=self.route(raw),
            decision=raw.decision,
            instance=None if raw.saved is None else self.values.instance(raw.saved),
            atomic=raw.atomic,
            transaction=raw.transaction,
            rowcount=raw.rowcount if type(raw.rowcount) is int and raw.rowcount >= 0 else None,
            error=self.error(raw, secret),
            within=raw.within,
            callsite=self.callsite(raw.site),
        )

    def statement(self, raw: RawQuery) -> _Statement:
        key = (raw.sql, raw.model)
        if (known := self.statements.get(key)) is None:
            operation, writes = read(raw.sql)
            secret = self.sessions.concern(raw.model, raw.sql)
            sql = "" if secret else self.values.clean(raw.sql)
            known = self.statements[key] = _Statement(sql, operation, writes, secret)
        return known

    def error(self, raw: RawQuery, secret: bool) -> str | None:
        if raw.error is None:
            return None
        return text_of(raw.error[0]) if secret else self.values.error(raw.error[1])

    def transaction(self, raw: RawTransaction) -> records.Transaction:
        return records.Transaction(
            id=raw.id,
            alias=text_of(raw.alias),
            at_us=self.at(raw.start),
            operation=raw.operation,
            transaction=raw.transaction,
            callsite=self.callsite(raw.site),
        )

    def route(self, raw: RawQuery) -> records.Route:
        if raw.decision is not None:
            return ROUTES.get(self.settled.get(raw.decision, ""), records.Route.ROUTER)
        if raw.named:
            return records.Route.EXPLICIT
        return records.Route.SCHEMA if raw.schema else records.Route.CURSOR

    def at(self, moment: int) -> int:
        return max(0, (moment - self.started) // 1000)

    def callsite(self, site: Site | None) -> records.Callsite | None:
        if site is None:
            return None
        # By identity, which the raw events keep unique: a code object is slow to hash.
        key = (id(site[0]), site[1], site[2])
        if (known := self.callsites.get(key)) is None:
            file, line, function = place(site)
            known = self.callsites[key] = records.Callsite(
                file=relative_to(file, self.base),
                line=line,
                function=text_of(function),
                template=None if site[2] is None else (text_of(site[2][0]), site[2][1]),
            )
        return known

    def path(self, router: Any) -> str:
        # By identity, too: whether two routers are equal is for their own code to say.
        if (known := self.paths.get(id(router))) is None:
            known = self.paths[id(router)] = text_of(dotted(router))
        return known


WRITERS: dict[type, Callable[[Writer, Any], records.Event]] = {
    RawDecision: Writer.decision,
    RawQuery: Writer.query,
    RawTransaction: Writer.transaction,
}
"""By the class of the event. In the writer they would be a cycle, which keeps the recorder alive."""


class _Statement(NamedTuple):
    """What all queries with the same text have in common. ``sql`` is empty where it is not to be kept."""

    sql: str
    operation: str
    writes: bool
    secret: bool


def _by_id(raw: RawEvent) -> int:
    return raw.id


def _microseconds(nanoseconds: int) -> float:
    return nanoseconds / 1000


def _kind(kind: str) -> Literal["request", "block", "command", "task"]:
    return kind  # type: ignore[return-value]  # checked where the trace begins


def _rfc3339(recorder: Recorder, ahead: int) -> str:
    moment = recorder.started_at + dt.timedelta(microseconds=ahead // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
