"""``dbroute replay``: count the recorded decisions that would change today, or with other routers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli.console import Console, Piece, Styled
from dbroute_panel.cli.lookup import find_trace, open_store
from dbroute_panel.cli.subcommand import (
    CheckFailed,
    Subcommand,
    UsageError,
    join_lines,
    parse_integer,
)
from dbroute_panel.importing import reader
from dbroute_panel.inspection.replay import Change, Replay, replay
from dbroute_panel.presentation import formatting
from dbroute_panel.records import Trace

MAX_CALLSITES: Final = 5
"""Maximum callsites listed for a change."""


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "sources",
        metavar="FILE|ID",
        nargs="+",
        help=_("Exported traces (json, ndjson), or ids; '-' is stdin."),
    )
    parser.add_argument(
        "--routers",
        metavar="ROUTER",
        nargs="+",
        help=_("Ask these, in this order, instead of DATABASE_ROUTERS: dotted paths."),
    )
    parser.add_argument("--repeat", metavar="N", default=1, help=_("Ask each question 1 to 1000 times."))
    parser.add_argument("--fail-on-change", action="store_true", help=_("Exit with 1 if a decision changed."))


def run(console: Console, options: dict[str, Any]) -> None:
    repeat = parse_integer(options["repeat"], "--repeat", least=1)
    with open_store() as store:
        sources = [find_source(str(name), store) for name in options["sources"]]
    found = replay(
        read_traces(sources),
        routers=options["routers"],
        repeat=repeat,
        progress=lambda asked: console.show_progress(asked, None, _("decisions")),
    )
    if options["format"] == "json":
        console.print_json(msgspec.to_builtins(found))
    else:
        show(console, found)
    if options["fail_on_change"] and found.changed:
        message = ngettext(
            "%(changed)d of %(asked)d decisions would change.",
            "%(changed)d of %(asked)d decisions would change.",
            found.changed,
        )
        raise CheckFailed(message % {"changed": found.changed, "asked": found.asked})


def find_source(name: str, store: Any) -> Path | Trace | None:
    """Return the file or trace that ``name`` names; None for stdin. Raises ``UsageError``."""
    if name == "-":
        return None
    path = Path(name).expanduser()
    if path.is_file() or path.is_fifo():
        return path
    if path.suffix or len(path.parts) > 1 or path.exists():
        raise UsageError(_("There is no file %(name)r.") % {"name": name})
    return find_trace(store, name)


def read_traces(sources: list[Path | Trace | None]) -> Iterator[Trace]:
    """Yield the traces one at a time, from files of any size. Raises ``UsageError``."""
    for found in sources:
        if isinstance(found, Trace):
            yield found
            continue
        try:
            if found is None:
                yield from reader.read_traces(sys.stdin.buffer)
            else:
                with found.open("rb") as file:
                    yield from reader.read_traces(file)
        except OSError as error:
            raise UsageError(f"{found or 'stdin'}: {join_lines(error.strerror or error)}") from error
        except reader.ReadError as error:
            raise UsageError(f"{found or 'stdin'}: {error}") from error


def show(console: Console, found: Replay) -> None:
    counts = {name: getattr(found, name) for name in ("asked", "same", "changed", "not_replayable")}
    console.print(
        ngettext(
            "%(asked)d decision asked again: %(same)d the same, ",
            "%(asked)d decisions asked again: %(same)d the same, ",
            found.asked,
        )
        % counts,
        Styled(_("%(changed)d changed") % counts, "WARNING" if found.changed else "SUCCESS"),
        _(", %(not_replayable)d not replayable.") % counts,
    )
    if found.changes:
        console.print()
        heads = ("", _("model"), _("question"), _("was"), _("would be"), _("where"))
        rows = [row for change in found.changes for row in build_change_rows(change)]
        console.print_table(rows, heads=heads, right=[0], flexible=[1, 4, 5])
    for note in found.notes:
        console.print()
        console.print(note)
    if found.reasons:
        console.print()
        console.print(_("Not replayable:"))
        console.print_table(
            [[str(reason.count), reason.reason] for reason in found.reasons], right=[0], indent="  "
        )


def build_change_rows(change: Change) -> Iterator[list[Piece]]:
    """Yield a row for the change, with its first callsite, and one for each further callsite."""
    to = change.to if isinstance(change.to, list) else [change.to]
    question = f"{change.action} ({change.db})" if isinstance(change.db, str) else str(change.action)
    several = len(change.callsites) > 1
    places = [f"{place} ×{n}" if several and n > 1 else place for place, n in change.callsites.items()]
    if len(places) > MAX_CALLSITES + 1:
        more = len(places) - MAX_CALLSITES
        places = [*places[:MAX_CALLSITES], _("and %(count)d more places") % {"count": more}]
    yield [
        f"{change.count}×",
        change.model or "?",
        question,
        Styled(formatting.answer(change.before), "WARNING"),
        Styled(", ".join(map(formatting.answer, to)), "SUCCESS"),
        places[0] if places else "",
    ]
    for place in places[1:]:
        yield ["", "", "", "", "", place]


SUBCOMMAND = Subcommand(
    name="replay",
    help=gettext_lazy("Ask today's routers, or others, every recorded question again."),
    arguments=add_arguments,
    run=run,
    formats=("text", "json"),
)
