"""Find what is wrong in routers and in their answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import chain

import msgspec

from dbroute_panel.conf import DUMMY
from dbroute_panel.records import (
    Action,
    DecidedBy,
    Decision,
    Event,
    Finding,
    InstanceRef,
    Outcome,
    Query,
    TypeRef,
)

from .facts import ERROR, INFO, WARNING, Facts, finding, group_by

# A member of an enum is found slowly by its class, and these are needed for every decision.
RELATION, FAILED = Action.RELATION, DecidedBy.ERROR


@finding("relation-refused", level=ERROR)
def relation_refused(trace: Facts) -> Iterator[Finding]:
    """``allow_relation`` said no."""
    refused = [
        decision
        for decision in trace.decisions
        if decision.action is RELATION
        and decision.decided_by is not FAILED
        and decision.parent_id is None
        and not decision.answer
    ]
    for decisions in group_by(refused, _relation_key).values():
        first, router = decisions[0], decisions[0].router
        objects = [(first.args or {}).get(name) for name in ("obj1", "obj2")]
        names = " and ".join(_describe_object(ref, trace) for ref in objects)
        who = (
            f"{_class_name(router)} refused it"
            if router
            else "no router had an opinion, and their databases differ"
        )
        times = "" if len(decisions) == 1 else f" ({len(decisions)} times)"
        origins = (trace.decision(ref.origin_id) for ref in objects if isinstance(ref, InstanceRef))
        yield Finding.about(
            *decisions,
            *(origin for origin in origins if origin is not None),
            message=f"A relation between {names} was not allowed{times}: {who}. "
            "Take both from one database, or answer allow_relation for them.",
        )


def _relation_key(decision: Decision) -> Hashable:
    """Return between which models and databases a relation was refused, and by whom."""
    refs = ((decision.args or {}).get(name) for name in ("obj1", "obj2"))
    ends = ((ref.model, ref.state_db) if isinstance(ref, InstanceRef) else None for ref in refs)
    return (*ends, decision.router)


def _describe_object(ref: object, trace: Facts) -> str:
    if not isinstance(ref, InstanceRef):
        return "something that is no model instance"
    return f"{trace.label(ref)} ({'of ' + ref.state_db if ref.state_db else 'of no database yet'})"


@finding("unknown-alias", level=ERROR)
def unknown_alias(trace: Facts) -> Iterator[Finding]:
    """An answer that is not in ``DATABASES``."""
    unknown = [
        decision
        for decision in trace.decisions
        if isinstance(decision.answer, str)
        and decision.answer not in trace.databases
        and decision.action.names_alias
    ]
    for (alias, router), decisions in group_by(unknown, lambda one: (str(one.answer), one.router)).items():
        who = _class_name(router) if router else "The instance"
        yield Finding.about(
            *decisions,
            message=f"{who} sent {_describe_questions(decisions)} to {alias!r}, which is not in DATABASES. "
            f"Answer one of {', '.join(_valid_answers(decisions[0].action, trace))}, or None.",
        )


def _valid_answers(action: Action, trace: Facts) -> list[str]:
    """Return the aliases that a router may answer: no empty ``default``, and no replica for a write."""
    return [
        alias
        for alias, database in trace.databases.items()
        if database.engine != DUMMY and not (action is Action.WRITE and alias in trace.primaries)
    ]


@finding("empty-default", level=ERROR)
def empty_default(trace: Facts) -> Iterator[Finding]:
    """A question that no router answered fell through to ``default``, which is ``{}``."""
    default = trace.databases.get("default")
    if default is None or default.engine != DUMMY:
        return
    fallen = [
        decision
        for decision in trace.decisions
        if decision.action.names_alias and decision.decided_by is DecidedBy.DEFAULT
    ]
    for decisions in group_by(fallen, lambda one: (one.action, one.model)).values():
        yield Finding.about(
            *decisions,
            message=f"No router answered {_describe_questions(decisions)}, and default is empty. "
            "Let a router answer it, or give DATABASES['default'] an engine.",
        )


@finding("router-raised", level=ERROR)
def router_raised(trace: Facts) -> Iterator[Finding]:
    """A router raised an exception instead of answering."""
    raised = [
        (decision, step)
        for decision in trace.decisions
        if decision.decided_by is FAILED
        for step in decision.steps
        if step.outcome is Outcome.RAISED
    ]
    # A router that asked the router and let its exception through is not the one to blame.
    inside = {(decision.parent_id, step.error) for decision, step in raised}
    to_blame = [(decision, step) for decision, step in raised if (decision.id, step.error) not in inside]
    for (router, error), found in group_by(to_blame, lambda one: (one[1].router, one[1].error)).items():
        decisions = [decision for decision, _ in found]
        yield Finding.about(
            *decisions,
            message=f"{_class_name(router)} raised {trace.error(error)} in {_describe_questions(decisions)}. "
            "Return None where a router has no opinion.",
        )


@finding("router-queried", level=WARNING)
def router_queried(trace: Facts) -> Iterator[Finding]:
    """A router ran SQL while deciding: each question costs a query more."""
    inside = [query for query in trace.queries if query.parent_id is not None]
    groups = group_by(
        inside, lambda one: (_find_asking_router(trace.decision(one.parent_id), one), one.alias, one.callsite)
    )
    for (router, alias, _), queries in groups.items():
        deciding = {one.id: one for query in queries if (one := trace.decision(query.parent_id)) is not None}
        events: list[Event] = [*deciding.values(), *queries]
        question = f" {_describe_questions(list(deciding.values()))}" if deciding else ""
        who = _class_name(router) if router else "A router"
        count = f"{len(queries)} queries" if len(queries) > 1 else "a query"
        yield Finding.about(
            *events,
            message=f"{who} ran {count} on {alias} ({trace.model(queries[0])}) while deciding{question}. "
            "Decide from the model and the hints alone, or keep in memory what has to be looked up.",
        )


def _find_asking_router(decision: Decision | None, query: Query) -> str | None:
    """
    Return the router that ran ``query``: the one in whose time it lies.

    The steps follow each other; what the decision took beyond their sum lies somewhere between them. So it is
    None where several routers are possible.
    """
    if decision is None:
        return None
    at = query.at_us - decision.at_us
    between = decision.duration_us - sum(step.duration_us for step in decision.steps)
    possible: set[str] = set()
    started = 0.0
    for step in decision.steps:
        ended = started + step.duration_us
        # at_us is rounded down, so that two of them may be a microsecond closer, or farther apart.
        within = started <= at + 1 and at - 1 + query.duration_us <= ended + between
        if within and query.duration_us <= step.duration_us:
            possible.add(step.router)
        started = ended
    return possible.pop() if len(possible) == 1 else None


@finding("random-route", level=INFO)
def random_route(trace: Facts) -> Iterator[Finding]:
    """The same question got different answers, and not only another replica of one group."""
    answered = [one for one in trace.decisions if one.decided_by is not FAILED]
    # Most questions have one answer: what has several is looked for before anything is made of them.
    told = {(one.action, one.model, one.answer) for one in answered}
    groups = group_by(
        {(action, model, _answer_group(action, answer, trace)) for action, model, answer in told},
        lambda one: one[:2],
    )
    several = {question for question, answers in groups.items() if len(answers) > 1}
    if not several:
        return
    odd = (one for one in answered if (one.action, one.model) in several)
    for alike in group_by(odd, lambda one: (one.action, one.model)).values():
        for question, decisions in group_by(alike, _question_key).items():
            answers = group_by(decisions, lambda one: _answer_group(one.action, one.answer, trace))
            if question is None or len(answers) < 2:
                continue
            said = ", ".join(f"{one[0].answer} ({len(one)})" for one in answers.values())
            yield Finding.about(
                *chain.from_iterable(one[: 50 // len(answers) or 1] for one in answers.values()),
                message=f"The same question, {_describe_questions(decisions[:1])}, got different answers: "
                f"{said}. Answer from the model and the hints alone{_suggest_replicas(decisions[0])}.",
            )


def _question_key(decision: Decision) -> Hashable | None:
    """Return all that a router was given; None where the record holds less, and two may only look alike."""
    values = [*(decision.args or {}).items(), *decision.hints.items(), ("", decision.answer)]
    for _, value in values:
        if isinstance(value, TypeRef) or (isinstance(value, InstanceRef) and value.pk in (None, "***")):
            return None
    told = (
        (name, msgspec.structs.replace(value, origin_id=None) if isinstance(value, InstanceRef) else value)
        for name, value in values[:-1]
    )
    return (decision.action, decision.model, frozenset(told))


def _suggest_replicas(decision: Decision) -> str:
    reads = decision.action is Action.READ
    return "; if these are replicas, declare them in REPLICAS" if reads else ""


def _answer_group(action: Action, answer: Hashable, trace: Facts) -> Hashable:
    """Return the same for answers that make no difference: for a read, the replicas of one primary."""
    return trace.primary_of(answer) if type(answer) is str and action is Action.READ else answer


def _describe_questions(decisions: list[Decision]) -> str:
    """Return ``db_for_read(library.Book)`` for the first, and how many more there were."""
    first = decisions[0]
    arguments = first.args or {}
    told = [first.model] if first.model else []
    if first.action is Action.MIGRATE:
        told = [str(arguments.get("db")), str(arguments.get("app_label"))]
    elif first.action is Action.RELATION:
        told = [ref.model for ref in arguments.values() if isinstance(ref, InstanceRef)]
    question = f"{first.action}({', '.join(told)})"
    return question if len(decisions) == 1 else f"{question} and {len(decisions) - 1} more"


def _class_name(router: str) -> str:
    return router.rpartition(".")[2] or router
