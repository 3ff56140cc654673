"""Relations between models, held against the databases of their ends."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Model

from dbroute_panel.inspection.arguments import AskError, build_object_from
from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.records import Action, Level


@lint("relation-refused-by-default", Level.ERROR)
def relation_refused_by_default(facts: RoutingFacts) -> Iterator[Problem]:
    """
    A foreign key between two objects of one primary that ``allow_relation`` would refuse as they are routed.

    The object that is saved comes from the write alias, the one that it points to from the read alias.
    Ends on different primaries are ``relation-across-databases``: there a refusal is right.
    """
    for model, field, to in facts.foreign_keys():
        if not facts.get_homes(model) & facts.get_homes(to):
            continue
        for written in facts.get_routes(model).write:
            refused = [
                read
                for read in facts.get_routes(to).read
                if facts.get_primary(read) == facts.get_primary(written)
                and _refuses(facts, model, written, to, read)
            ]
            if refused:
                yield Problem(
                    model._meta.label,
                    f"{model._meta.label}.{field.name} = a {to._meta.label} read from {' or '.join(refused)} "
                    f"is refused for an object of {written}. Let allow_relation return True within one "
                    "replica group.",
                )


def _refuses(facts: RoutingFacts, model: type[Model], written: str, to: type[Model], read: str) -> bool:
    try:
        one, other = build_object_from(model, written), build_object_from(to, read)
    except AskError:
        return False
    decision = facts.ask(model, Action.RELATION, instance=one, other=other)
    return decision.answer is False


@lint("relation-across-databases", Level.ERROR)
def relation_across_databases(facts: RoutingFacts) -> Iterator[Problem]:
    """A foreign key or one-to-one whose ends live on different primaries."""
    for model, field, to in facts.foreign_keys():
        here, there = facts.get_homes(model), facts.get_homes(to)
        if here and there and not here & there:
            yield Problem(
                model._meta.label,
                f"{model._meta.label}.{field.name} points from {_join_aliases(here)} to {to._meta.label} on "
                f"{_join_aliases(there)}: joins, cascades and constraints do not cross databases. Keep "
                "both on one database, or store the key in a plain field.",
            )


@lint("many-to-many-split", Level.ERROR)
def many_to_many_split(facts: RoutingFacts) -> Iterator[Problem]:
    """A many-to-many whose two ends and through model do not share a primary."""
    for model in facts.models:
        for field in model._meta.local_many_to_many:  # a proxy has none of its own
            ends = [
                end for end in (model, field.related_model, field.remote_field.through) if end in facts.models
            ]
            if len(ends) < 3 or not all(map(facts.get_homes, ends)):
                continue
            if not set.intersection(*(facts.get_homes(end) for end in ends)):
                places = ", ".join(
                    f"{end._meta.label} on {_join_aliases(facts.get_homes(end))}" for end in ends
                )
                yield Problem(
                    model._meta.label,
                    f"{model._meta.label}.{field.name} needs three tables on one database, but has {places}. "
                    "Route all three alike.",
                )


def _join_aliases(aliases: set[str]) -> str:
    return " and ".join(sorted(aliases))
