"""``dbroute lint``: ask the routers, and report what is wrong with the routing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli.console import Console, Styled
from dbroute_panel.cli.subcommand import CheckFailed, Subcommand, validate_choice
from dbroute_panel.cli.traces import LEVEL_ROLES
from dbroute_panel.inspection.lints import StaticFinding, run_lints
from dbroute_panel.records import Level

LEVELS: Final = [level.value for level in Level]


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--fail-level",
        metavar="|".join(LEVELS),
        default=Level.ERROR.value,
        help=_("Exit with 1 from this level on (error)."),
    )


def run(console: Console, options: dict[str, Any]) -> None:
    limit = Level(validate_choice(options["fail_level"], LEVELS, _("level")))
    found = run_lints()
    if options["format"] == "json":
        console.print_json(msgspec.to_builtins(found))
    else:
        show(console, found)
    check_level(found, limit)


def show(console: Console, found: Sequence[StaticFinding]) -> None:
    """Print each finding: level, code and subject, and below it the message."""
    for finding in found:
        console.print(
            Styled(finding.level.value, LEVEL_ROLES[finding.level]), f" {finding.code}: {finding.subject}"
        )
        console.print_lines(finding.message, indent="  ")
    if not found:
        console.print(_("Nothing is wrong with the routing, as far as asking the routers tells."))


def check_level(found: Sequence[StaticFinding], limit: Level) -> None:
    """Raise ``CheckFailed`` if there are findings of level ``limit`` and above."""
    count = sum(finding.level.rank >= limit.rank for finding in found)
    if count:
        text = ngettext(
            "%(count)d finding of level %(level)s or above; SILENCED_FINDINGS can leave codes out.",
            "%(count)d findings of level %(level)s or above; SILENCED_FINDINGS can leave codes out.",
            count,
        )
        raise CheckFailed(text % {"count": count, "level": limit})


SUBCOMMAND = Subcommand(
    name="lint",
    help=gettext_lazy("Ask the routers, and say what is wrong with the routing."),
    arguments=add_arguments,
    run=run,
    formats=("text", "json"),
)
