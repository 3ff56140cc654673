"""``dbroute lint``: what is wrong with the routing, before anything went wrong?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli.console import Console
from dbroute_panel.cli.subcommand import DoesNotHold, Subcommand, add_format, chosen
from dbroute_panel.cli.text import Styled
from dbroute_panel.cli.traces import ROLES
from dbroute_panel.inspection.lint import StaticFinding, lint
from dbroute_panel.records import Level

LEVELS: Final = [level.value for level in Level]


def arguments(parser: CommandParser) -> None:
    add_format(parser, "text", "json")
    parser.add_argument(
        "--fail-level",
        metavar="|".join(LEVELS),
        default=Level.ERROR.value,
        help=_("Exit with 1 from this level on (error)."),
    )


def run(console: Console, options: dict[str, Any]) -> None:
    output = chosen(options["format"], ["text", "json"], _("format"))
    limit = Level(chosen(options["fail_level"], LEVELS, _("level")))
    found = lint()
    if output == "json":
        console.json(msgspec.to_builtins(found))
    else:
        show(console, found)
    check(found, limit)


def show(console: Console, found: Sequence[StaticFinding]) -> None:
    """What it is and about what, and below it the sentence that says what to do."""
    for finding in found:
        console.line(Styled(finding.level.value, ROLES[finding.level]), f" {finding.code}: {finding.subject}")
        console.lines(finding.message, indent="  ")
    if not found:
        console.line(_("Nothing is wrong with the routing, as far as asking the routers tells."))


def check(found: Sequence[StaticFinding], limit: Level) -> None:
    """Raise ``DoesNotHold`` where there are findings of level ``limit`` and above."""
    count = sum(finding.level.rank >= limit.rank for finding in found)
    if count:
        text = ngettext(
            "%(count)d finding of level %(level)s or above; SILENCED_FINDINGS can leave codes out.",
            "%(count)d findings of level %(level)s or above; SILENCED_FINDINGS can leave codes out.",
            count,
        )
        raise DoesNotHold(text % {"count": count, "level": limit})


SUBCOMMAND = Subcommand(
    name="lint",
    help=gettext_lazy("Ask the routers, and say what is wrong with the routing."),
    arguments=arguments,
    run=run,
)
