"""
From what a recorder appended to the finished document: the work that the request was spared.

Pure but for what it looks up of the project: its settings, its databases, which models are sessions.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.db import connections, router
from django.db.utils import load_backend

from dbroute_panel import records
from dbroute_panel.conf import replicas
from dbroute_panel.recording.callers import Site, place
from dbroute_panel.recording.recorder import (
    KINDS,
    RawDecision,
    RawEvent,
    RawQuery,
    RawTransaction,
    Recorder,
    complain,
)
from dbroute_panel.recording.secrets import (
    MASK,
    Sessions,
    is_password_hash,
    may_keep_key,
    without_hashes,
    without_literals,
    without_tokens,
)
from dbroute_panel.recording.snapshots import Instance, Typed, dotted, scalar
from dbroute_panel.recording.statements import read

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
        self.base = _base_dir()
        self.places: dict[tuple[int, int], tuple[str, int, str]] = {}
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
            name=self.clean(name),
            kind=_kind(kind),
            started_at=_rfc3339(recorder, begin - recorder.started),
            duration_us=_microseconds(end - begin),
            request=self.request(),
            databases=_databases(vendors),
            routers=_routers(),
            events=events,
            findings=[],
            dropped=records.Dropped(
                **{kind: lost + self.unwritten[kind] for kind, lost in recorder.dropped.items()}
            ),
        )

    def request(self) -> records.Request | None:
        request = self.recorder.request
        return request and records.Request(
            method=_text(request.method),
            path=self.clean(request.path),
            view=_name(request.view),
            status=request.status,
        )

    def decision(self, raw: RawDecision) -> records.Decision:
        return records.Decision(
            id=raw.id,
            action=raw.action,
            at_us=self.at(raw.start),
            duration_us=_microseconds(raw.end - raw.start),
            model=_name(raw.model),
            args=None if raw.args is None else self.values(raw.args),
            hints={} if raw.hints is None else self.values(raw.hints),
            steps=[
                records.Step(
                    router=_text(dotted(step.router)),
                    outcome=step.outcome,
                    answer=self.value(step.answer),
                    error=self.error(step.error),
                    duration_us=_microseconds(step.duration),
                )
                for step in raw.steps
            ]
            + [
                records.Step(router=_text(dotted(router)), outcome=records.Outcome.NOT_ASKED)
                for router in raw.rest
            ],
            settled_by=raw.settled_by,
            answer=self.value(raw.answer),
            parent=raw.parent,
            callsite=self.callsite(raw.site),
        )

    def query(self, raw: RawQuery) -> records.Query:
        statement = read(raw.sql)
        secret = self.sessions.concern(raw.model, raw.sql, raw.params)
        return records.Query(
            id=raw.id,
            alias=_text(raw.alias),
            at_us=self.at(raw.start),
            duration_us=_microseconds(raw.end - raw.start),
            sql=without_literals(_text(raw.sql), raw.vendor) if secret else self.clean(raw.sql),
            params=self.parameters(raw.params, raw.many, secret),
            many=raw.many,
            operation=statement.operation,
            writes=statement.writes,
            model=_name(raw.model),
            route=self.route(raw),
            decision=raw.decision,
            instance=None if raw.saved is None else self.instance(raw.saved),
            atomic=raw.atomic,
            transaction=raw.transaction,
            rowcount=raw.rowcount,
            error=None if raw.error is None else _text(raw.error[0]) if secret else self.error(raw.error[1]),
            within=raw.within,
            callsite=self.callsite(raw.site),
        )

    def transaction(self, raw: RawTransaction) -> records.Transaction:
        return records.Transaction(
            id=raw.id,
            alias=_text(raw.alias),
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

    def values(self, raw: dict[str, Any]) -> dict[str, Any]:
        return {_text(name): self.value(value) for name, value in raw.items()}

    def value(self, raw: Any) -> Any:
        """An answer, hint or argument: an InstanceRef, a TypeRef or a JSON scalar."""
        if type(raw) is Instance:
            return self.instance(raw)
        if type(raw) is Typed:
            return records.TypeRef(type=_text(raw.path))
        if type(raw) is str:
            return self.clean(raw)
        if type(raw) is float and not math.isfinite(raw):  # JSON has no infinity, and no NaN
            return str(raw)
        return _whole(raw) if type(raw) is int and not -(2**63) <= raw < 2**64 else raw

    def instance(self, raw: Instance) -> records.InstanceRef:
        return records.InstanceRef(
            model=_text(raw.model),
            pk=self.key(raw),
            state_db=_name(raw.state_db),
            adding=raw.adding,
            origin=raw.origin,
        )

    def key(self, raw: Instance) -> str | None:
        if raw.pk is None:
            return None
        if raw.model in self.sessions.keyed:
            return MASK
        if not self.recorder.params and not all(map(may_keep_key, raw.pk)):
            return None
        parts = [self.parameter(part) for part in raw.pk]
        return parts[0] if len(parts) == 1 else json.dumps(parts)

    def error(self, message: str | None) -> str | None:
        """``Class: message``; the class alone where no values are kept."""
        if message is None:
            return None
        return self.clean(message) if self.recorder.params else _text(message.partition(":")[0])

    def parameters(self, raw: Any, many: bool, secret: bool) -> list[Any] | dict[str, Any] | None:
        if raw is None:
            return None
        if many:
            return [self.parameters(row, many=False, secret=secret) for row in raw]
        if isinstance(raw, dict):
            return {_text(name): MASK if secret else self.parameter(value) for name, value in raw.items()}
        return [MASK if secret else self.parameter(value) for value in raw]

    def parameter(self, value: Any) -> str:
        """One parameter as text: what it would be in Python for bytes and lists, else its plain string."""
        if type(value) is str:
            return self.clean(value)
        if type(value) is tuple:
            return f"[{', '.join(map(self.parameter, value))}]"
        if type(value) is Typed:
            return f"<{value.path}>"
        if type(value) is bytes:
            return self.clean(repr(value))
        if type(value) is int:
            return _whole(value)
        return str(value)

    def clean(self, text: str) -> str:
        """A text of the user's as it may be kept."""
        if is_password_hash(text):
            return MASK
        text = without_tokens(without_hashes(_text(text)))
        for secret in self.recorder.secrets:
            text = text.replace(secret, MASK)
        return text

    def callsite(self, site: Site | None) -> records.Callsite | None:
        if site is None:
            return None
        # By identity, which the raw events keep unique: a code object is slow to hash.
        known = self.places.get((id(site[0]), site[1]))
        file, line, function = known or self.places.setdefault((id(site[0]), site[1]), place(site))
        return records.Callsite(
            file=_relative(file, self.base),
            line=line,
            function=_text(function),
            template=None if site[2] is None else (_text(site[2][0]), site[2][1]),
        )


WRITERS: dict[type, Callable[[Writer, Any], records.Event]] = {
    RawDecision: Writer.decision,
    RawQuery: Writer.query,
    RawTransaction: Writer.transaction,
}
"""By the class of the event. In the writer they would be a cycle, which keeps the recorder alive."""


def _by_id(raw: RawEvent) -> int:
    return raw.id


def _microseconds(nanoseconds: int) -> float:
    return nanoseconds / 1000


def _kind(kind: str) -> Literal["request", "block", "command", "task"]:
    return kind  # type: ignore[return-value]  # checked where the trace begins


def _rfc3339(recorder: Recorder, ahead: int) -> str:
    moment = recorder.started_at + dt.timedelta(microseconds=ahead // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _text(text: str) -> str:
    """``text`` as UTF-8 can hold it: lone surrogates are escaped."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _name(text: str | None) -> str | None:
    return None if text is None else _text(text)


def _whole(number: int) -> str:
    """A number of any length. Python makes decimal digits of it only up to some thousands."""
    try:
        return str(number)
    except ValueError:
        return hex(number)


def _base_dir() -> str | None:
    base = getattr(settings, "BASE_DIR", None)
    return str(Path(base)) if isinstance(base, (str, Path)) else None


def relative(file: str) -> str:
    """``file`` as a Callsite has it: relative to ``settings.BASE_DIR`` where it is below, else absolute."""
    return _relative(file, _base_dir())


@lru_cache(maxsize=2048)
def _relative(file: str, base: str | None) -> str:
    if base is not None and Path(file).is_relative_to(base):
        return _text(Path(file).relative_to(base).as_posix())
    return _text(file)


def _routers() -> list[str]:
    """The dotted paths of the routers, in order. Where nobody was asked yet they are not made for this."""
    made: Iterable[Any] = router.__dict__.get("routers", settings.DATABASE_ROUTERS)
    return [_text(entry if isinstance(entry, str) else dotted(entry)) for entry in made]


def _databases(vendors: dict[str, str]) -> dict[str, records.Database]:
    primaries = replicas()
    return {
        _text(scalar(alias)): records.Database(
            vendor=vendors.get(alias) or _vendor(options.get("ENGINE", "")),
            engine=options.get("ENGINE", ""),
            replica_of=None if _is_the_same(options) else primaries.get(alias),
        )
        for alias, options in connections.settings.items()
    }


def _is_the_same(options: dict[str, Any]) -> bool:
    """Whether Django's test runner has made the database the very one that it mirrors: no replica, then."""
    mirrored = connections.settings.get(str((options.get("TEST") or {}).get("MIRROR")))
    return mirrored is not None and all(
        options.get(key) == mirrored.get(key) for key in ("NAME", "HOST", "PORT")
    )


@lru_cache
def _vendor(engine: str) -> str:
    """The vendor of a database that no query of the trace ran on, without connecting to it."""
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except Exception:  # its driver is not installed, and nobody missed it
        return "unknown"
