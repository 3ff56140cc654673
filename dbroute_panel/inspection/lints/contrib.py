"""Django's own apps that have to stay together (its "Behavior of contrib apps")."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.records import Level

RELATED_MODELS = (
    ("auth.Permission", "contenttypes.ContentType", "a permission points to its content type"),
    ("auth.Group", "auth.Permission", "a group has permissions"),
    ("AUTH_USER_MODEL", "auth.Permission", "a user has permissions"),
    ("admin.LogEntry", "AUTH_USER_MODEL", "the admin's log points to its user"),
    ("admin.LogEntry", "contenttypes.ContentType", "the admin's log points to a content type"),
    ("flatpages.FlatPage", "sites.Site", "a flat page belongs to sites"),
    ("redirects.Redirect", "sites.Site", "a redirect belongs to a site"),
)
"""Pairs of models that Django's documentation wants on one database, and why."""


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
    """``ContentType`` is migrated to more than one primary, where the same model may get different keys."""
    model = facts.find_model("contenttypes.ContentType")
    if model is None:
        return
    homes = sorted(
        alias
        for alias, allowed in facts.get_routes(model).migrate.items()
        if allowed and alias in facts.databases and alias not in facts.primaries
    )
    if len(homes) > 1:
        yield Problem(
            model._meta.label,
            f"ContentType has a table on {', '.join(homes)}: the same model may have another primary key on "
            "each, so that generic relations and permissions read across them are wrong. Let allow_migrate "
            "allow contenttypes on one database.",
        )
