"""``dbroute prune``: delete old traces."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli.console import Console
from dbroute_panel.cli.lookup import iterate_summaries, open_store
from dbroute_panel.cli.subcommand import Subcommand, UsageError, parse_integer

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--keep", metavar="N", help=_("Delete all but the N newest; 0 deletes all."))
    parser.add_argument("--older-than", metavar="7d", help=_("Delete what is older: 30m, 12h, 7d, 2w."))


def run(console: Console, options: dict[str, Any]) -> None:
    if options["keep"] is None and options["older_than"] is None:
        raise UsageError(_("Say what shall go: --keep N, --older-than 7d, or both."))
    keep = None if options["keep"] is None else parse_integer(options["keep"], "--keep", least=0)
    before = None if options["older_than"] is None else datetime.now(UTC) - parse_age(options["older_than"])
    with open_store() as store:
        gone = [
            summary.id
            for number, summary in enumerate(iterate_summaries(store))
            if (keep is not None and number >= keep)
            or (before is not None and datetime.fromisoformat(summary.started_at) < before)
        ]
        deleted = store.delete(gone) if gone else 0
        left = store.count()
    text = ngettext("%(count)d trace deleted", "%(count)d traces deleted", deleted) % {"count": deleted}
    console.print(_("%(deleted)s, %(left)d left.") % {"deleted": text, "left": left})


def parse_age(text: str) -> timedelta:
    """Parse a duration such as ``7d``. Raises ``UsageError``."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", str(text).strip().lower(), re.ASCII)
    if match is not None:
        try:
            found = timedelta(**{UNITS[match[2]]: int(match[1])})
            datetime.now(UTC) - found
        except OverflowError:
            pass
        else:
            return found
    raise UsageError(
        _("No duration %(text)r: give a number and a unit, such as 30m, 12h, 7d or 2w.") % {"text": text}
    )


SUBCOMMAND = Subcommand(name="prune", help=gettext_lazy("Delete traces."), arguments=add_arguments, run=run)
