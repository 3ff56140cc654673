"""``dbroute traces``: list the recorded traces."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel import findings
from dbroute_panel.cli.console import Console, Piece, Styled
from dbroute_panel.cli.lookup import describe_store, open_store
from dbroute_panel.cli.subcommand import Subcommand, parse_integer, validate_choice
from dbroute_panel.records import Level
from dbroute_panel.stores import Filter, Store, Summary

JSON_FIELDS = (
    *("schema", "id", "name", "kind", "started_at", "duration_us", "request", "databases", "routers"),
    *("findings", "dropped", "session_writes", "queries", "decisions", "aliases"),
)
"""The fields of a trace without its events, and counts in their place."""

LEVEL_ROLES = {Level.INFO: "SQL_FIELD", Level.WARNING: "WARNING", Level.ERROR: "ERROR"}


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--limit", metavar="N", default=20, help=_("At most N, the newest first (20)."))
    parser.add_argument("--path", metavar="P", help=_("Whose path or name contains P."))
    parser.add_argument("--alias", metavar="A", help=_("With queries on this database."))
    parser.add_argument("--finding", metavar="CODE", help=_("With this finding."))


def run(console: Console, options: dict[str, Any]) -> None:
    limit = parse_integer(options["limit"], "--limit", least=1)
    query = Filter(path=options["path"], alias=options["alias"], finding=options["finding"])
    with open_store() as store:
        found = store.summaries(query, limit=limit)
        total = store.count(query)
        if not found and query.alias is not None:
            validate_choice(query.alias, find_aliases(store), _("database"))
        if not found and query.finding is not None:
            validate_choice(query.finding, findings.codes() | store.codes(), _("finding"))
        empty = describe_store(store)
        others = store.count()
    if options["format"] == "json":
        console.print_json([build_json(summary) for summary in found])
    elif found:
        show(console, found, total)
    else:
        none = ngettext("The only trace does not match.", "None of the %(count)d traces matches.", others)
        console.print(none % {"count": others} if others else empty)


def find_aliases(store: Store) -> set[str]:
    """Return the aliases of the settings and of the traces, because imported ones may have others."""
    recorded = store.summaries(limit=1000)
    return {*settings.DATABASES, *(alias for summary in recorded for alias in summary.databases)}


def build_json(summary: Summary) -> Any:
    plain = msgspec.to_builtins(summary)
    return {name: plain[name] for name in JSON_FIELDS}


def show(console: Console, found: list[Summary], total: int) -> None:
    heads = (
        *(_("id"), _("started"), _("status"), _("queries"), _("ms")),
        *(_("findings"), _("what"), _("databases")),
    )
    rows = [build_row(summary) for summary in found]
    console.print_table(rows, heads=heads, right=[3, 4], flexible=[6, 7])
    if total > len(found):
        more = ngettext("… and %(count)d more.", "… and %(count)d more.", total - len(found))
        console.print(more % {"count": total - len(found)})


def build_row(summary: Summary) -> list[Piece]:
    request = summary.request
    worst = max((finding.level for finding in summary.findings), key=lambda level: level.rank, default=None)
    return [
        summary.id[:8],
        format_local_time(summary.started_at),
        format_status(summary),
        str(summary.queries),
        f"{summary.duration_us / 1000:,.1f}",
        Styled(str(len(summary.findings)), LEVEL_ROLES[worst]) if worst else "",
        f"{request.method} {request.path}" if request else summary.name,
        ", ".join(f"{alias} {count}" for alias, count in summary.aliases.items()),
    ]


def format_status(summary: Summary) -> Piece:
    """Return the status of a response; for other traces their kind."""
    if summary.request is None:
        return summary.kind
    code = summary.request.status
    return Styled(str(code), "ERROR") if code is None or code >= 500 else str(code)


def format_local_time(moment: str) -> str:
    """Format an RFC 3339 time in the project's time zone, to the second."""
    started = datetime.fromisoformat(moment)
    return timezone.localtime(started).strftime("%Y-%m-%d %H:%M:%S")


SUBCOMMAND = Subcommand(
    name="traces",
    help=gettext_lazy("List the recorded traces."),
    arguments=add_arguments,
    run=run,
    formats=("text", "json"),
)
