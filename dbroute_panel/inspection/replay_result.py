"""
Count the decisions of a replay: recorded answers compared with current ones.

Answers are the same if they are equal; for reads, if both are replicas of one primary; for ``allow_*``, if
both are true or both are false; for exceptions, if their class is equal. A read that moves between a primary
and its replica is a change, because a recent write may be visible on one of them only. Only counts are kept,
so that memory does not grow with the number of decisions.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

import msgspec
from django.utils.translation import gettext as _

from dbroute_panel.conf import replicas
from dbroute_panel.records import Action, DecidedBy, Decision, TypeRef

MIN_EXPECTED: Final = 5.0
"""
Report a new answer only if at its current rate at least five recordings of it were expected.

A random router may not have given a rarer answer by chance; five are missed in one case of 150.
"""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """
    Decisions that had one answer and would have another. ``callsites``: "file:line" to their number.

    ``model`` has for ``allow_relation`` the labels of both, for ``allow_migrate`` without a model the label
    of the app. ``db`` is the database that ``allow_migrate`` was asked about, otherwise left out. Answers
    are as in a Decision, or ``Class: message`` if asking raised. ``to`` is a list if repeated asking gave
    several answers.
    """

    model: str | None
    action: Action
    db: str | msgspec.UnsetType = msgspec.UNSET
    before: Any = msgspec.field(name="from")
    to: Any
    count: int
    callsites: dict[str, int]


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """A reason why decisions could not be asked again, and their number."""

    reason: str
    count: int


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """
    The counts of a replay. ``asked`` is the sum of ``same``, ``changed`` and ``not_replayable``.

    ``changes`` and ``reasons``: most frequent first. ``notes``: sentences about what no trace holds and may
    explain the changes.
    """

    asked: int
    same: int
    changed: int
    not_replayable: int
    changes: list[Change]
    reasons: list[Reason]
    notes: list[str] = []


class RaisedAnswer:
    """An exception as an answer, ``Class: message``. It equals every answer of the same class."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def name(self) -> str:
        return self.text.partition(":")[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RaisedAnswer) and self.name == other.name

    def __hash__(self) -> int:
        return hash((RaisedAnswer, self.name))

    def __repr__(self) -> str:
        return self.text


class _AnyReplica(NamedTuple):
    """The meaning of a read from a replica: any replica of this primary is equivalent."""

    primary: str


class ChangeKey(NamedTuple):
    """What decisions that are counted together have in common; hashable."""

    model: str | None
    action: Action
    db: Any
    before: Any
    to: tuple[Any, ...]


class ReplayCounter:
    """Counts the decisions of a replay, each of which was asked ``repeat`` times."""

    def __init__(self, repeat: int, *, asks_current_routers: bool) -> None:
        self.repeat = repeat
        self.asks_current_routers = asks_current_routers
        self.primaries = replicas()
        self.asked = 0
        self.reasons: Counter[str] = Counter()
        self.callsites: dict[ChangeKey, Counter[str]] = {}
        self.counts: Counter[ChangeKey] = Counter()
        # By model and action: the recorded answers, and the expected number of each current answer.
        self.recorded: dict[tuple[Any, ...], set[Any]] = {}
        self.expected: dict[tuple[Any, ...], Counter[Any]] = {}

    def count_failure(self, reason: str) -> None:
        """Count a decision that cannot be asked again."""
        self.asked += 1
        self.reasons[reason] += 1

    def count(self, decision: Decision, answers: Counter[Any]) -> None:
        """Count a decision that was asked again; ``answers`` has the number of each answer."""
        self.asked += 1
        before = get_recorded_answer(decision)
        meaning = self.get_meaning(decision.action, before)
        meanings = {answer: self.get_meaning(decision.action, answer) for answer in answers}
        subject = (_get_model_label(decision), decision.action, (decision.args or {}).get("db"))
        if self.repeat > 1:
            self.recorded.setdefault(subject, set()).add(meaning)
            expected = self.expected.setdefault(subject, Counter())
            for answer, count in answers.items():
                expected[meanings[answer]] += count
        if all(now == meaning for now in meanings.values()):
            return
        key = ChangeKey(*subject, before, tuple(sorted(answers, key=str)))
        self.counts[key] += 1
        if decision.callsite is not None:
            where = f"{decision.callsite.file}:{decision.callsite.line}"
            self.callsites.setdefault(key, Counter())[where] += 1

    def get_meaning(self, action: Action, answer: Any) -> Any:
        """Return what two equivalent answers have in common."""
        if isinstance(answer, (RaisedAnswer, TypeRef)):
            return answer
        if not action.names_alias:
            return bool(answer)
        if action is Action.READ and (primary := self.primaries.get(answer)) is not None:
            return _AnyReplica(primary)
        return answer

    def build_result(self) -> Replay:
        """Return the counts."""
        changes = [key for key in self.counts if self.has_changed(key)]
        changed = sum(self.counts[key] for key in changes)
        failed = self.reasons.total()
        return Replay(
            asked=self.asked,
            same=self.asked - changed - failed,
            changed=changed,
            not_replayable=failed,
            changes=[self.build_change(key) for key in sorted(changes, key=self._sort_key)],
            reasons=[
                Reason(reason=reason, count=count)
                for reason, count in sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
            ],
            notes=self.build_notes(changes),
        )

    def has_changed(self, key: ChangeKey) -> bool:
        """Return whether decisions with an answer other than the recorded one have changed."""
        meanings = {self.get_meaning(key.action, answer) for answer in key.to}
        if self.get_meaning(key.action, key.before) not in meanings:
            return True
        subject = key[:3]
        return any(
            self.expected[subject][meaning] / self.repeat >= MIN_EXPECTED
            for meaning in meanings - self.recorded[subject]
        )

    def build_notes(self, changes: list[ChangeKey]) -> list[str]:
        """Return what no trace holds and may explain ``changes``; other routers are meant to differ."""
        moved = [
            key
            for key in changes
            if key.action.names_alias and _filter_aliases(key.before) and _filter_aliases(*key.to)
        ]
        pinned = [key for key in moved if self.may_have_been_pinned(key)]
        notes = []
        if pinned:
            notes.append(
                _(
                    "Reads that went to a primary would go to its replica. If middleware had pinned them "
                    "there (in a thread-local, a context variable or a cookie): that is in no trace, and "
                    "nothing was pinned now."
                )
            )
        if self.asks_current_routers and len(moved) > len(pinned):
            notes.append(
                _(
                    "Another database would be answered. If other code than the routers had chosen it then "
                    "(in a thread-local or a context variable, as for a customer): that is in no trace, and "
                    "nothing was chosen now."
                )
            )
        return notes

    def may_have_been_pinned(self, key: ChangeKey) -> bool:
        """Return whether reads that went to a primary would go to its replica."""
        return key.action is Action.READ and any(
            self.primaries.get(answer) == key.before for answer in _filter_aliases(*key.to)
        )

    def build_change(self, key: ChangeKey) -> Change:
        to = [_serialize_answer(answer) for answer in key.to]
        return Change(
            model=key.model,
            action=key.action,
            db=key.db if key.action is Action.MIGRATE else msgspec.UNSET,
            before=_serialize_answer(key.before),
            to=to[0] if len(to) == 1 else to,
            count=self.counts[key],
            callsites=dict(self.callsites.get(key, Counter()).most_common()),
        )

    def _sort_key(self, key: ChangeKey) -> tuple[Any, ...]:
        return (-self.counts[key], str(key.model), key.action, str(key))


def get_recorded_answer(decision: Decision) -> Any:
    """Return what the routers answered during the recording."""
    if decision.decided_by is not DecidedBy.ERROR:
        return decision.answer
    return RaisedAnswer(next((step.error for step in decision.steps if step.error), "Exception"))


def _get_model_label(decision: Decision) -> str | None:
    args = decision.args or {}
    if decision.action is Action.RELATION:
        return " + ".join(args[name].model for name in ("obj1", "obj2"))
    if decision.model is None and decision.action is Action.MIGRATE:
        return ".".join(args[name] for name in ("app_label", "model_name") if args.get(name))
    return decision.model


def _filter_aliases(*answers: Any) -> list[str]:
    """Return those of ``answers`` that name a database."""
    return [answer for answer in answers if isinstance(answer, str)]


def _serialize_answer(answer: Any) -> Any:
    return str(answer) if isinstance(answer, RaisedAnswer) else answer
