"""Lints of models that need one database: ends of relations, and Django's contrib apps."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Model

from dbroute_panel.inspection.arguments import AskError, build_object_from
from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.records import Action, Level

RELATED_MODELS = (
    ("auth.Permission", "contenttypes.ContentType", "a permission points to its content type"),
    ("auth.Group", "auth.Permission", "a group has permissions"),
    ("AUTH_USER_MODEL", "auth.Permission", "a user has permissions"),
    ("admin.LogEntry", "AUTH_USER_MODEL", "the admin's log points to its user"),
    ("admin.LogEntry", "contenttypes.ContentType", "the admin's log points to a content type"),
    ("flatpages.FlatPage", "sites.Site", "a flat page belongs to sites"),
    ("redirects.Redirect", "sites.Site", "a redirect belongs to a site"),
)
"""Pairs of models that Django's documentation wants on one database, and why ("Behavior of contrib apps")."""


@lint("relation-refused-by-default", Level.ERROR)
def relation_refused_by_default(facts: RoutingFacts) -> Iterator[Problem]:
    """
    A foreign key between two objects of one primary that ``allow_relation`` would refuse as they are routed.

    The object that is saved comes from the write alias, its target from the read alias. For ends on different
    primaries a refusal is right; these are ``relation-across-databases``.
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
        for field in model._meta.local_many_to_many:  # a proxy has none
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


@lint("contrib-split", Level.ERROR)
def contrib_split(facts: RoutingFacts) -> Iterator[Problem]:
    """Two of Django's models that belong together live on different primaries."""
    for one, other, why in RELATED_MODELS:
        first, second = (
            facts.find_model(settings.AUTH_USER_MODEL if label == "AUTH_USER_MODEL" else label)
            for label in (one, other)
        )
        if first is None or second is None:
            continue
        here, there = facts.get_homes(first), facts.get_homes(second)
        if here and there and not here & there:
            yield Problem(
                first._meta.label,
                f"{first._meta.label} is on {' and '.join(sorted(here))}, {second._meta.label} on "
                f"{' and '.join(sorted(there))}, but {why}. Route both to one database.",
            )


@lint("contenttypes-on-several", Level.ERROR)
def contenttypes_on_several(facts: RoutingFacts) -> Iterator[Problem]:
    """``ContentType`` is migrated to several primaries, where one model may get different keys."""
    model = facts.find_model("contenttypes.ContentType")
    if model is None:
        return
    homes = sorted(set(facts.get_migrate_aliases(model)) - set(facts.primaries))
    if len(homes) > 1:
        yield Problem(
            model._meta.label,
            f"ContentType has a table on {', '.join(homes)}: the same model may have another primary key on "
            "each, so that generic relations and permissions read across them are wrong. Let allow_migrate "
            "allow contenttypes on one database.",
        )
