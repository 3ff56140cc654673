"""
The trace document, ``dbroute-trace/2``: what recording writes and every reader reads.

Plain facts as msgspec structs, in the order and under the names of the JSON export. Nothing
here knows Django's ORM, so a trace can be read on a machine without the traced project.
Times: ``at_us`` is an integer of microseconds from the trace's start, ``duration_us`` is
microseconds with at most three decimals. Ids are unique in a trace, over all kinds of event.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Final, Literal

import msgspec

SCHEMA: Final = "dbroute-trace/2"

# The numbers that every store can keep and every format can write, of which those that recording writes are
# a small part. ``loads()`` refuses others: a document from elsewhere may hold any JSON number.

MAX_INTEGER: Final = 2**63 - 1
MAX_TIME_US: Final = 10**15
"""Some thirty years: nanoseconds since 1970 fit into 64 bits also at the end of a trace of 2261."""

EventId = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
LineNumber = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
TimeUs = Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_US)]
DurationUs = Annotated[float, msgspec.Meta(ge=0, le=MAX_TIME_US)]


class Action(enum.StrEnum):
    """The four questions Django asks its routers, by the name of the router's method."""

    READ = "db_for_read"
    WRITE = "db_for_write"
    RELATION = "allow_relation"
    MIGRATE = "allow_migrate"

    @property
    def names_alias(self) -> bool:
        """Whether the answer is an alias (``db_for_*``), not yes or no (``allow_*``)."""
        return self in (Action.READ, Action.WRITE)


class Outcome(enum.StrEnum):
    """What became of one router in one decision."""

    ANSWERED = "answered"
    PASSED = "passed"
    NO_METHOD = "no_method"
    RAISED = "raised"
    NOT_ASKED = "not_asked"


class DecidedBy(enum.StrEnum):
    """Who or what decided the answer to a question."""

    ROUTER = "router"
    INSTANCE = "instance"
    DEFAULT = "default"
    SAME_DATABASE = "same_database"
    ALLOWED = "allowed"
    ERROR = "error"


class RouteKind(enum.StrEnum):
    """Why a query ran on its alias."""

    ROUTER = "router"
    INSTANCE = "instance"
    DEFAULT = "default"
    EXPLICIT = "explicit"
    CURSOR = "cursor"
    SCHEMA = "schema"
    PEERS = "peers"


class Operation(enum.StrEnum):
    """What opened or ended a transaction or savepoint."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    SAVEPOINT_COMMIT = "savepoint_commit"
    SAVEPOINT_ROLLBACK = "savepoint_rollback"


class HookOutcome(enum.StrEnum):
    """What became of a function that was given to ``on_commit()``."""

    RAN_AT_ONCE = "ran_at_once"
    RAN = "ran"
    DISCARDED = "discarded"
    PENDING = "pending"


class Level(enum.StrEnum):
    """How bad a finding is. Compare with ``rank``: a higher one is worse."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


class Record(msgspec.Struct, frozen=True, gc=False):
    """
    The base of all records: immutable, made by keyword.

    They hold plain facts and, downwards alone, each other: there is no cycle for the collector to look for.
    """


class TypeRef(Record, frozen=True, kw_only=True):
    """Something that is no JSON scalar and no model instance: only its dotted type is kept."""

    type: str


class InstanceRef(Record, frozen=True, kw_only=True):
    """
    A model instance as it was when it was seen.

    ``origin_id`` is that of the decision of this trace that put ``state_db`` into
    ``instance._state.db``, or None.
    """

    model: str
    pk: str | None
    state_db: str | None
    adding: bool
    origin_id: EventId | None = None


Hint = InstanceRef | TypeRef | str | int | float | bool | None


class Callsite(Record, frozen=True, kw_only=True):
    """
    The user's line: ``template`` is (name, line) of the template being rendered.

    ``entry`` is None. Where no line of the user's is at work it is a library's line, and ``entry`` is what
    Django had called, as ``GET admin:index`` or ``manage.py migrate``; empty where that is not known.
    """

    file: str
    line: LineNumber
    function: str
    template: tuple[str, LineNumber] | None = None
    entry: str | None = None


class Step(Record, frozen=True, kw_only=True):
    """One router in one decision. ``source`` and ``traceback`` are filled by ``explain()`` only."""

    router: str
    outcome: Outcome
    answer: str | int | float | bool | TypeRef | None = None
    error: str | None = None
    duration_us: DurationUs = 0.0
    source: Callsite | None = None
    traceback: str | None = None


class Decision(Record, frozen=True, kw_only=True, tag_field="type", tag="decision"):
    """One question to the routers: who was asked, in order, and what decided it."""

    id: EventId
    action: Action
    at_us: TimeUs
    duration_us: DurationUs
    model: str | None
    args: dict[str, Any] | None
    hints: dict[str, Any]
    steps: tuple[Step, ...]  # so is all that an event has several of: lists are work for the collector
    decided_by: DecidedBy
    answer: str | int | float | bool | TypeRef | None
    parent_id: EventId | None = None
    callsite: Callsite | None = None

    def __post_init__(self) -> None:
        if not self.hints and not self.args:  # as most have none, and this is called for each
            return
        for values in (self.args, self.hints):
            for name, value in (values or {}).items():
                if type(value) is dict:
                    values[name] = _reference(value)  # type: ignore[index]

    @property
    def router(self) -> str | None:
        """The router that answered, or None."""
        return next((s.router for s in self.steps if s.outcome is Outcome.ANSWERED), None)


class Query(Record, frozen=True, kw_only=True, tag_field="type", tag="query"):
    """One statement sent to a database, and why it went there."""

    id: EventId
    alias: str
    at_us: TimeUs
    duration_us: DurationUs
    sql: str
    params: tuple[Any, ...] | dict[str, Any] | None
    many: bool
    operation: str
    writes: bool
    model: str | None
    route: RouteKind
    decision_id: EventId | None
    instance: InstanceRef | None
    atomic: bool
    transaction_number: Count | None
    rowcount: Count | None
    error: str | None
    parent_id: EventId | None
    callsite: Callsite | None
    error_code: str | int | None = None
    """What the database calls the error: an SQLSTATE of five signs, or the number of its own that it has."""
    historical: bool = False
    """Whether ``model`` is one that a migration sees (``apps.get_model()`` in ``RunPython``)."""


class Transaction(Record, frozen=True, kw_only=True, tag_field="type", tag="transaction"):
    """
    The opening or ending of a transaction or savepoint. ``transaction_number`` counts per alias, from 1.

    ``by_orm`` of a ``begin``: Django's ORM opened it for the one call that it was in, as bulk_create() does.
    """

    id: EventId
    alias: str
    at_us: TimeUs
    operation: Operation
    transaction_number: Count | None
    callsite: Callsite | None
    by_orm: bool = False


class CommitHook(Record, frozen=True, kw_only=True, tag_field="type", tag="on_commit"):
    """
    A function that was given to ``on_commit()`` of ``alias``, by the dotted name of its code.

    ``atomic``: whether a transaction was open there, and ``transaction_number`` is its; that of ``TestCase``
    itself does not count. ``ended_at_us`` is None while it waits.
    """

    id: EventId
    at_us: TimeUs
    alias: str
    function: str
    robust: bool
    atomic: bool
    outcome: HookOutcome
    transaction_number: Count | None
    callsite: Callsite | None
    ended_at_us: TimeUs | None = None


class ExceptionRaised(Record, frozen=True, kw_only=True, tag_field="type", tag="exception"):
    """
    An exception that left an ``atomic()`` block or ended the trace: one event, by the outermost that it left.

    ``ended`` is None for one of Django's own that is wrong routing and was caught before it left anything.
    ``alias`` and ``transaction_number`` are of the outermost ``atomic()`` that it left, or None. ``callsite``
    is the innermost line of the user's that it went through, ``raised_at`` where it came out of Django.
    Of what Django refuses before any SQL because the databases do not fit: ``model`` was to be used on
    ``using``, ``other`` is the alias of what does not fit; else they are None.
    """

    id: EventId
    at_us: TimeUs
    error: str
    ended: Literal["trace", "atomic"] | None
    alias: str | None
    transaction_number: Count | None
    callsite: Callsite | None
    raised_at: Callsite | None
    model: str | None = None
    using: str | None = None
    other: str | None = None


Event = Decision | Query | Transaction | CommitHook | ExceptionRaised


class Finding(Record, frozen=True, kw_only=True):
    """Something that is wrong, or worth knowing. ``events`` are the ids of what proves it."""

    code: str
    level: Level
    message: str
    events: list[EventId]

    @classmethod
    def about(cls, *events: Event, code: str = "", level: Level = Level.INFO, message: str) -> Finding:
        """A finding proved by ``events``; the registry fills in ``code`` and ``level``."""
        return cls(code=code, level=level, message=message, events=[event.id for event in events])


NO_ROUTE: Final = "(no route)"
"""The path of a request that no URL pattern matches, where paths are not kept."""


class Request(Record, frozen=True, kw_only=True):
    """The HTTP request of a trace. ``path`` has no query string; ``view`` is dotted, or None."""

    method: str
    path: str
    view: str | None
    status: int | None


class Database(Record, frozen=True, kw_only=True):
    """One of ``DATABASES``: ``replica_of`` is an alias, or None."""

    vendor: str
    engine: str
    replica_of: str | None


class Dropped(Record, frozen=True, kw_only=True):
    """How many events were not kept: over ``MAX_EVENTS``, or lost to an error of ours."""

    decision: Count = 0
    query: Count = 0
    transaction: Count = 0
    on_commit: Count = 0
    exception: Count = 0


class SessionWrite(Record, frozen=True, kw_only=True):
    """A table that an earlier request of the session wrote; ``age_us``: how long before this one it ended."""

    trace: str
    alias: str
    table: str
    age_us: TimeUs


class Trace(Record, frozen=True, kw_only=True):
    """What was recorded in one request or block: ``events``, and of each kind those that there are."""

    schema: Literal["dbroute-trace/2"] = SCHEMA
    id: str
    name: str
    kind: Literal["request", "block", "command", "task"]
    started_at: str
    duration_us: DurationUs
    request: Request | None
    databases: dict[str, Database]
    routers: list[str]
    events: list[Event]
    findings: list[Finding]
    dropped: Dropped
    session_writes: tuple[SessionWrite, ...] = ()

    @property
    def decisions(self) -> list[Decision]:
        return [event for event in self.events if type(event) is Decision]  # isinstance() takes longer

    @property
    def queries(self) -> list[Query]:
        return [event for event in self.events if type(event) is Query]

    @property
    def transactions(self) -> list[Transaction]:
        return [event for event in self.events if type(event) is Transaction]

    @property
    def commit_hooks(self) -> list[CommitHook]:
        return [event for event in self.events if type(event) is CommitHook]

    @property
    def exceptions(self) -> list[ExceptionRaised]:
        return [event for event in self.events if type(event) is ExceptionRaised]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, as in the JSON export."""
        # Not to_builtins(), which leaves tuples as they are.
        plain: dict[str, Any] = msgspec.json.decode(dumps(self))
        return plain


def _reference(value: dict[str, Any]) -> InstanceRef | TypeRef:
    """The hint or argument that a JSON object stands for; raises ``msgspec.ValidationError``."""
    return msgspec.convert(value, InstanceRef) if "model" in value else msgspec.convert(value, TypeRef)


def dumps(trace: Trace) -> bytes:
    """The trace as one line of JSON."""
    return msgspec.json.encode(trace)


def loads(document: bytes | str) -> Trace:
    """The trace that ``document`` holds; raises one of ``text.DECODE_ERRORS``."""
    return msgspec.json.decode(document, type=Trace)
