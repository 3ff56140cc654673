"""``dbroute show``: print the events of a trace."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli.console import Console, Piece, Styled
from dbroute_panel.cli.explain import build_chain_rows
from dbroute_panel.cli.lookup import find_trace, open_store
from dbroute_panel.cli.subcommand import Subcommand
from dbroute_panel.cli.traces import LEVEL_ROLES, format_local_time
from dbroute_panel.presentation import (
    Detail,
    EventFilter,
    Index,
    Listing,
    Row,
    Totals,
    build_detail,
    compute_totals,
)
from dbroute_panel.presentation.formatting import called_from
from dbroute_panel.records import Trace


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("id", metavar="ID", help=_("As 'dbroute traces' lists it."))


def run(console: Console, options: dict[str, Any]) -> None:
    with open_store() as store:
        trace = find_trace(store, str(options["id"]))
    if options["format"] == "json":
        console.print_json(trace.to_dict())
        return
    index = Index(trace)
    show_headline(console, trace, compute_totals(trace, index.palette))
    for finding in trace.findings:
        events = ", ".join(f"#{number}" for number in finding.events)
        where = f" ({events})" if events else ""
        console.print(
            Styled(finding.level.value, LEVEL_ROLES[finding.level]),
            f" {finding.code}: {finding.message}{where}",
        )
    listing = Listing(index, EventFilter(questions=True))
    pages = listing.page().pages
    rows = [row for number in range(1, pages + 1) for row in listing.page(number).rows]
    if rows and console.verbosity < 2:
        console.print()
        heads = ("#", _("at ms"), _("database"), _("why"), _("what"), _("ms"), _("where"))
        console.print_table(map(build_cells, rows), heads=heads, right=[0, 1, 5], flexible=[2, 3, 4])
    elif rows:
        for row in rows:
            console.print()
            console.print_table([build_cells(row)], flexible=[2, 3, 4])
            show_detail(console, build_detail(index, index.by_id[row.id], format_sql=False))


def show_headline(console: Console, trace: Trace, totals: Totals) -> None:
    request = trace.request
    title = f"{request.method} {request.path}" if request else trace.name
    console.print(Styled(title, "MIGRATE_HEADING"), f"  {trace.kind} {trace.id}")
    facts = [
        format_local_time(trace.started_at),
        f"{trace.duration_us / 1000:,.1f} ms",
        ngettext("%(count)d query", "%(count)d queries", totals.queries) % {"count": totals.queries},
        ngettext("%(count)d decision", "%(count)d decisions", totals.decisions) % {"count": totals.decisions},
    ]
    if request is not None:
        facts.insert(1, str(request.status))
    if totals.dropped:
        facts.append(
            ngettext("%(count)d event was not kept", "%(count)d events were not kept", totals.dropped)
            % {"count": totals.dropped}
        )
    console.print(" · ".join(facts))
    shares: list[list[Piece]] = [
        [
            share.database.alias,
            ngettext("%(count)d query", "%(count)d queries", share.queries) % {"count": share.queries},
            f"{share.duration_us / 1000:,.1f} ms",
            share.database.vendor,
            _("replica of %(primary)s") % {"primary": share.database.replica_of}
            if share.database.replica_of
            else "",
        ]
        for share in totals.shares
    ]
    if shares:
        console.print()
        console.print_table(shares, right=[1, 2], indent="  ")


def build_cells(row: Row) -> list[Piece]:
    """Return the row of one event. A question has its outcome where a query has its database."""
    database = row.database.alias if row.database else row.outcome
    return [
        str(row.id),
        f"{row.at_us / 1000:,.1f}",
        Styled(database, "ERROR") if row.error else database,
        row.why,
        Styled(row.what, "ERROR") if row.error else row.what,
        "" if row.duration_us is None else f"{row.duration_us / 1000:,.3f}",
        row.where,
    ]


def show_detail(console: Console, detail: Detail) -> None:
    """Print everything about one event, as its opened row on the page shows it."""
    indent = " " * 6
    if detail.sentence:
        console.print(indent, detail.sentence)
    if detail.chain is not None:
        console.print(indent, detail.chain.decided_by)
        console.print_table(build_chain_rows(detail.chain), right=[3], flexible=[2], indent=f"{indent}  ")
        for fact in (*detail.chain.arguments, *detail.chain.hints):
            console.print(f"{indent}{fact.name} = {fact.value}", f" ({fact.note})" if fact.note else "")
    if detail.statement:
        console.print(indent, Styled(detail.statement, "SQL_KEYWORD"))
    for value in detail.params:
        console.print(f"{indent}  {value}")
    if detail.error:
        console.print(indent, Styled(detail.error, "ERROR"))
    if detail.raised_at is not None:
        console.print(f"{indent}{_('raised in Django')}: {detail.origin} {detail.raised_at.function}")
    if detail.site is not None:
        console.print(f"{indent}{called_from(detail.site)}")


SUBCOMMAND = Subcommand(
    name="show",
    help=gettext_lazy("Show one trace; with -v 2 every event in full."),
    arguments=add_arguments,
    run=run,
    formats=("text", "json"),
)
