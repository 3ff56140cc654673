"""``dbroute map``: write or check where every model is read, written and migrated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli import output
from dbroute_panel.cli.console import Console, Piece, Styled, align_columns, escape_control, get_text
from dbroute_panel.cli.subcommand import (
    CheckFailed,
    Subcommand,
    UsageError,
    join_lines,
)
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.inspection.map import RoutingMap, build_map, dump_csv, dump_map, find_marks, load_map
from dbroute_panel.inspection.map_diff import diff_maps
from dbroute_panel.records import Action


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--output", metavar="F", help=_("Write to this file; '-' is the standard output, as without it.")
    )
    parser.add_argument(
        "--check", metavar="F", help=_("Exit with 1 where the map is not what this file (JSON) has.")
    )


def run(console: Console, options: dict[str, Any]) -> None:
    format_name = options["format"]
    path = output.parse_output(options["output"])
    expected = None if options["check"] is None else load_expected(options["check"])
    routes = build_map()
    if path is not None:
        output.write_file(path, [WRITERS[format_name](routes).encode()])
        count = len(routes.models)
        console.note(
            ngettext("The map of %(count)d model: %(path)s", "The map of %(count)d models: %(path)s", count)
            % {"count": count, "path": path}
        )
    elif expected is None and format_name == "text":
        show(console, routes)
    elif expected is None:
        console.write_bytes([WRITERS[format_name](routes).encode()])
    if expected is not None:
        check_map(console, options["check"], expected, routes)


def load_expected(name: str) -> RoutingMap:
    """Return the map in the file ``name``. Raises ``UsageError``."""
    try:
        return load_map(Path(name).expanduser().read_bytes())
    except OSError as error:
        raise UsageError(
            _("%(name)s cannot be read: %(error)s. To make it: dbroute map --format json --output %(name)s")
            % {"name": name, "error": join_lines(error.strerror or error)}
        ) from error
    except AskError as error:
        raise UsageError(f"{name}: {error}") from error


def check_map(console: Console, name: str, expected: RoutingMap, routes: RoutingMap) -> None:
    """Print how the map differs from the file ``name``. Raises ``CheckFailed`` if it does."""
    lines = diff_maps(expected, routes)
    for line in lines:
        console.print(line)
    if lines:
        message = ngettext(
            "The map is not what %(name)s has: %(count)d difference. "
            "If it is right, write it again: dbroute map --format json --output %(name)s",
            "The map is not what %(name)s has: %(count)d differences. "
            "If they are right, write it again: dbroute map --format json --output %(name)s",
            len(lines),
        )
        raise CheckFailed(message % {"name": name, "count": len(lines)})
    console.note(_("The map is what %(name)s has.") % {"name": name})


def show(console: Console, routes: RoutingMap) -> None:
    """Print one model a line, and the errors below."""
    console.print_table(build_rows(routes), flexible=range(4))
    for line in format_errors(routes):
        console.print(Styled(line, "ERROR"))


def dump_text(routes: RoutingMap) -> str:
    """Return what ``show()`` prints, for a file."""
    lines = ["".join(map(get_text, line)).rstrip() for line in align_columns(build_rows(routes))]
    return "\n".join([*lines, *map(escape_control, format_errors(routes)), ""])


def build_rows(routes: RoutingMap) -> list[list[Piece]]:
    marked = find_marks()
    heads = (_("model"), _("read from"), _("written to"), _("migrated on"))
    rows: list[list[Piece]] = [[Styled(head, "MIGRATE_LABEL") for head in heads]]
    for label, model in routes.models.items():
        notes = ", ".join(marked.get(label, ()))
        migrated = [alias for alias, allowed in model.migrate.items() if allowed]
        rows.append(
            [
                f"{label} ({notes})" if notes else label,
                format_aliases(model.read, model.errors, Action.READ),
                format_aliases(model.write, model.errors, Action.WRITE),
                format_aliases(migrated, model.errors, Action.MIGRATE),
            ]
        )
    return rows


def format_errors(routes: RoutingMap) -> Iterator[str]:
    """Yield one line for each question that ended in an exception."""
    for label, model in routes.models.items():
        for action, error in model.errors.items():
            yield _("%(model)s: %(action)s raised %(error)s") % {
                "model": label,
                "action": action,
                "error": error,
            }


def format_aliases(found: list[str], errors: dict[str, str], action: Action) -> Piece:
    text = ", ".join(found)
    if action in errors:
        return Styled(", ".join(filter(None, [text, _("error")])), "ERROR")
    return text or "-"


WRITERS = {"text": dump_text, "json": dump_map, "csv": dump_csv}

SUBCOMMAND = Subcommand(
    name="map",
    help=gettext_lazy("Ask the routers where every model is read, written and migrated."),
    arguments=add_arguments,
    run=run,
    formats=tuple(WRITERS),
)
