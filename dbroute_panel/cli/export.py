"""``dbroute export``: write traces to a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli import output
from dbroute_panel.cli.console import Console
from dbroute_panel.cli.lookup import find_trace, open_store
from dbroute_panel.cli.subcommand import Subcommand, UsageError
from dbroute_panel.exports import FORMATS
from dbroute_panel.records import Trace
from dbroute_panel.redaction import redact_trace


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="*", help=_("As 'dbroute traces' lists it."))
    parser.add_argument("--all", action="store_true", help=_("Every trace in the store."))
    parser.add_argument("--format", metavar="|".join(FORMATS), default="json", help=_("Of the file."))
    parser.add_argument(
        "--output", metavar="F", help=_("Write to this file; '-' is the standard output, as without it.")
    )
    parser.add_argument("--redact", action="store_true", help=_("Leave out parameters, literals and keys."))


def run(console: Console, options: dict[str, Any]) -> None:
    chosen = output.find_format(options["format"])
    ids: list[str] = list(options["ids"])
    if bool(ids) == bool(options["all"]):
        raise UsageError(_("Give the ids of traces, or --all."))
    path = output.parse_output(options["output"])
    with open_store() as store:
        found = list(dict.fromkeys(find_trace(store, str(trace_id)).id for trace_id in ids))
        total = store.count() if options["all"] else len(found)
        wanted = store.traces() if options["all"] else (find_trace(store, trace_id) for trace_id in found)
        traces = report_progress(console, map(redact_trace, wanted) if options["redact"] else wanted, total)
        if path is None:
            console.write_bytes(chosen.write(traces))
        else:
            output.write_file(path, chosen.write(traces))
    if path is not None:
        written = ngettext(
            "%(count)d trace written to %(path)s.", "%(count)d traces written to %(path)s.", total
        )
        console.note(written % {"count": total, "path": path})


def report_progress(console: Console, traces: Iterable[Trace], total: int) -> Iterator[Trace]:
    for number, trace in enumerate(traces, 1):
        console.show_progress(number, total, _("traces"))
        yield trace


SUBCOMMAND = Subcommand(
    name="export", help=gettext_lazy("Write traces to a file."), arguments=add_arguments, run=run
)
