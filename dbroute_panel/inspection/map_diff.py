"""Compare two routing maps, and describe the differences in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from dbroute_panel.inspection.map import ModelRoutes, RoutingMap
from dbroute_panel.records import Action


def diff_maps(expected: RoutingMap, actual: RoutingMap) -> list[str]:
    """
    Return one line for each difference, sorted; an empty list if the maps are equal.

    A line has what is, then what was ("library.Book is written to replica1, was primary").
    """
    gone = {*expected.databases} - {*actual.databases}
    new = {*actual.databases} - {*expected.databases}
    lines = {
        *(_("The database %(alias)s is new") % {"alias": alias} for alias in new),
        *(_("The database %(alias)s is gone") % {"alias": alias} for alias in gone),
    }
    for label in {*expected.models, *actual.models}:
        was, now = expected.models.get(label), actual.models.get(label)
        if now is None:
            lines.add(_("%(model)s is gone") % {"model": label})
        elif was is None:
            lines.add(_describe_model(label, now))
        elif was != now:
            lines.update(_diff_routes(label, was, now))
            lines.update(_diff_tables(label, was, now, new, gone))
            lines.update(_diff_errors(label, was, now))
    return sorted(lines)


def _describe_model(label: str, now: ModelRoutes) -> str:
    return _("%(model)s is new: read from %(read)s, written to %(write)s, migrated on %(migrate)s") % {
        "model": label,
        "read": _join_aliases(now.read),
        "write": _join_aliases(now.write),
        "migrate": _join_aliases(sorted(alias for alias, allowed in now.migrate.items() if allowed)),
    }


def _diff_routes(label: str, was: ModelRoutes, now: ModelRoutes) -> Iterator[str]:
    """Compare the aliases, unless asking raised: then the error is the difference."""
    names = {"model": label}
    if was.read != now.read and not _errors_differ(Action.READ, was, now):
        names |= {"now": _join_aliases(now.read), "was": _join_aliases(was.read)}
        yield _("%(model)s is read from %(now)s, was %(was)s") % names
    if was.write != now.write and not _errors_differ(Action.WRITE, was, now):
        names |= {"now": _join_aliases(now.write), "was": _join_aliases(was.write)}
        yield _("%(model)s is written to %(now)s, was %(was)s") % names
    if was.managed and not now.managed:
        yield _("%(model)s is unmanaged, was managed") % names
    elif now.managed and not was.managed:
        yield _("%(model)s is managed, was unmanaged") % names


def _errors_differ(action: Action, was: ModelRoutes, now: ModelRoutes) -> bool:
    return was.errors.get(action) != now.errors.get(action)


def _diff_tables(
    label: str, was: ModelRoutes, now: ModelRoutes, new: set[str], gone: set[str]
) -> Iterator[str]:
    """Compare where tables are made: on a new database only what is migrated, on a removed one nothing."""
    for alias in {*was.migrate, *now.migrate} - gone:
        before, after = was.migrate.get(alias), now.migrate.get(alias)
        names = {"model": label, "alias": alias}
        if before == after or (alias in new and not after):
            continue
        if after is None:
            yield _("%(model)s has no answer to whether it is migrated on %(alias)s, had one") % names
        elif before is None and alias not in new:
            is_now = _("is migrated on") if after else _("is not migrated on")
            yield _("%(model)s %(is_now)s %(alias)s, had no answer") % (names | {"is_now": is_now})
        elif after:
            yield _("%(model)s is migrated on %(alias)s, was not") % names
        else:
            yield _("%(model)s is not migrated on %(alias)s, was") % names


def _diff_errors(label: str, was: ModelRoutes, now: ModelRoutes) -> Iterator[str]:
    for action in {*was.errors, *now.errors}:
        names = {
            "model": label,
            "action": action,
            "was": was.errors.get(action),
            "now": now.errors.get(action),
        }
        if names["was"] == names["now"]:
            continue
        if names["now"] is None:
            yield _("%(model)s: %(action)s answers, raised %(was)s") % names
        elif names["was"] is None:
            yield _("%(model)s: %(action)s raises %(now)s, did not") % names
        else:
            yield _("%(model)s: %(action)s raises %(now)s, raised %(was)s") % names


def _join_aliases(aliases: list[str]) -> str:
    return ", ".join(aliases) or _("nowhere")
