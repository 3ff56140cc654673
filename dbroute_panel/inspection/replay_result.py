"""
What would change, counted: the recorded answers beside those given now.

What counts as the same: an equal answer; for reads, another replica of the same primary; for ``allow_*``,
whatever is as true; an exception of the same class. A read that moves between a primary and its replica
is a change: what was written a moment ago may be seen on one of them only. Only counts are kept, so that
memory does not grow with the number of decisions.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

import msgspec
from django.utils.translation import gettext as _

from dbroute_panel.conf import replicas
from dbroute_panel.records import Action, DecidedBy, Decision, TypeRef

EXPECTED: Final = 5.0
"""
An answer that was never recorded is a change if it would, as often as it is given today, have been
recorded five times. (Fewer: a random router may just not have given it; that is missed in one case of 150.)
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """
    Decisions that went one way and would go another. ``callsites``: "file:line" to how many.

    ``model`` is for ``allow_relation`` the labels of both, for ``allow_migrate`` without a model the
    app's label; ``db`` is the database that ``allow_migrate`` was asked about, else left out. Answers
    are as in a Decision, or ``Class: message`` where asking raised; ``to`` is a list where repeated
    asking gave several.
    """

    model: str | None
    action: Action
    db: str | msgspec.UnsetType = msgspec.UNSET
    before: Any = msgspec.field(name="from")
    to: Any
    count: int
    callsites: dict[str, int]


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why decisions could not be asked again, and how many."""

    reason: str
    count: int


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``asked`` is the sum of ``same``, ``changed`` and ``not_replayable``. Most frequent first.

    ``notes`` are sentences about what no trace holds and the changes may hang on.
    """

    asked: int
    same: int
    changed: int
    not_replayable: int
    changes: list[Change]
    reasons: list[Reason]
    notes: list[str] = []


class Raised:
    """An exception as an answer, ``Class: message``: the same where the class is, whatever the message."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def name(self) -> str:
        return self.text.partition(":")[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raised) and self.name == other.name

    def __hash__(self) -> int:
        return hash((Raised, self.name))

    def __repr__(self) -> str:
        return self.text


class _AnyReplica(NamedTuple):
    """What a read from a replica means: any of those that have this primary would do."""

    primary: str


class Kind(NamedTuple):
    """What decisions that are counted together have in common; each part can be hashed."""

    model: str | None
    action: Action
    db: Any
    before: Any
    to: tuple[Any, ...]


class Tally:
    """The counts so far. Each decision was asked ``repeat`` times, of ``todays`` routers or of others."""

    def __init__(self, repeat: int, *, todays: bool) -> None:
        self.repeat = repeat
        self.todays = todays
        self.primaries = replicas()
        self.asked = 0
        self.reasons: Counter[str] = Counter()
        self.callsites: dict[Kind, Counter[str]] = {}
        self.counts: Counter[Kind] = Counter()
        # Of each model and action: what was recorded, and how often each of today's answers would have been.
        self.recorded: dict[tuple[Any, ...], set[Any]] = {}
        self.expected: dict[tuple[Any, ...], Counter[Any]] = {}

    def give_up(self, reason: str) -> None:
        """Count a decision that cannot be asked again."""
        self.asked += 1
        self.reasons[reason] += 1

    def count(self, decision: Decision, answers: Counter[Any]) -> None:
        """Count a decision that was asked again: each answer, and how often it was given."""
        self.asked += 1
        before = recorded_answer(decision)
        meaning = self.meaning(decision.action, before)
        meanings = {answer: self.meaning(decision.action, answer) for answer in answers}
        if self.repeat > 1:
            about = (_model(decision), decision.action, _db(decision))
            self.recorded.setdefault(about, set()).add(meaning)
            shares = self.expected.setdefault(about, Counter())
            for answer, count in answers.items():
                shares[meanings[answer]] += count
        if all(now == meaning for now in meanings.values()):
            return
        kind = Kind(_model(decision), decision.action, _db(decision), before, tuple(sorted(answers, key=str)))
        self.counts[kind] += 1
        if decision.callsite is not None:
            where = f"{decision.callsite.file}:{decision.callsite.line}"
            self.callsites.setdefault(kind, Counter())[where] += 1

    def meaning(self, action: Action, answer: Any) -> Any:
        """What of an answer counts."""
        if isinstance(answer, (Raised, TypeRef)):
            return answer
        if not action.names_alias:
            return bool(answer)
        if action is Action.READ and (primary := self.primaries.get(answer)) is not None:
            return _AnyReplica(primary)
        return answer

    def result(self) -> Replay:
        """The counts, once everything is asked."""
        changes = [kind for kind in self.counts if self.has_changed(kind)]
        changed = sum(self.counts[kind] for kind in changes)
        failed = self.reasons.total()
        return Replay(
            asked=self.asked,
            same=self.asked - changed - failed,
            changed=changed,
            not_replayable=failed,
            changes=[self.change(kind) for kind in sorted(changes, key=self._order)],
            reasons=[
                Reason(reason=reason, count=count)
                for reason, count in sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
            ],
            notes=self.notes(changes),
        )

    def has_changed(self, kind: Kind) -> bool:
        """Whether decisions of which not every answer is what was recorded have changed."""
        meanings = {self.meaning(kind.action, answer) for answer in kind.to}
        if self.meaning(kind.action, kind.before) not in meanings:
            return True
        about = kind[:3]
        return any(
            self.expected[about][meaning] / self.repeat >= EXPECTED
            for meaning in meanings - self.recorded[about]
        )

    def notes(self, changes: list[Kind]) -> list[str]:
        """What no trace holds and ``changes`` may hang on; other routers are meant to answer otherwise."""
        moved = [
            kind
            for kind in changes
            if kind.action.names_alias and _aliases(kind.before) and _aliases(*kind.to)
        ]
        pinned = [kind for kind in moved if self.may_have_been_pinned(kind)]
        return [
            *([_pinning()] if pinned else []),
            *([_choosing()] if self.todays and len(moved) > len(pinned) else []),
        ]

    def may_have_been_pinned(self, kind: Kind) -> bool:
        """Whether reads that went to a primary would go to its replica."""
        return kind.action is Action.READ and any(
            self.primaries.get(answer) == kind.before for answer in _aliases(*kind.to)
        )

    def change(self, kind: Kind) -> Change:
        to = [_shown(answer) for answer in kind.to]
        return Change(
            model=kind.model,
            action=kind.action,
            db=kind.db if kind.action is Action.MIGRATE else msgspec.UNSET,
            before=_shown(kind.before),
            to=to[0] if len(to) == 1 else to,
            count=self.counts[kind],
            callsites=dict(self.callsites.get(kind, Counter()).most_common()),
        )

    def _order(self, kind: Kind) -> tuple[Any, ...]:
        return (-self.counts[kind], str(kind.model), kind.action, str(kind))


def recorded_answer(decision: Decision) -> Any:
    """What the routers answered then."""
    if decision.decided_by is not DecidedBy.ERROR:
        return decision.answer
    return Raised(next((step.error for step in decision.steps if step.error), "Exception"))


def _model(decision: Decision) -> str | None:
    args = decision.args or {}
    if decision.action is Action.RELATION:
        return " + ".join(args[name].model for name in ("obj1", "obj2"))
    if decision.model is None and decision.action is Action.MIGRATE:
        return ".".join(args[name] for name in ("app_label", "model_name") if args.get(name))
    return decision.model


def _db(decision: Decision) -> Any:
    return (decision.args or {}).get("db")


def _pinning() -> str:
    return _(
        "Reads that went to a primary would go to its replica. If middleware had pinned them there (in a "
        "thread-local, a context variable or a cookie): that is in no trace, and nothing was pinned now."
    )


def _choosing() -> str:
    return _(
        "Another database would be answered. If other code than the routers had chosen it then (in a "
        "thread-local or a context variable, as for a customer): that is in no trace, and nothing was chosen "
        "now."
    )


def _aliases(*answers: Any) -> list[str]:
    """Those of ``answers`` that name a database."""
    return [answer for answer in answers if isinstance(answer, str)]


def _shown(answer: Any) -> Any:
    return str(answer) if isinstance(answer, Raised) else answer
