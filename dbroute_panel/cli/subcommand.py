"""
What is a subcommand? A name, its arguments, and a function from the options to an answer.

It writes to its console. Where what was asked about does not hold it raises ``DoesNotHold`` (exit code 1),
and where the question makes no sense ``UsageError`` (2): one sentence each, which says what would be right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from dbroute_panel.cli.console import Console
from dbroute_panel.suggestions import did_you_mean


class Subcommand(msgspec.Struct, frozen=True, kw_only=True):
    """
    One subcommand of ``manage.py dbroute``.

    ``arguments`` declares them. ``run`` gets the options by name. ``untouched``: exceptions are let out as
    they are, because they are somebody else's.
    """

    name: str
    help: Any
    arguments: Callable[[CommandParser], None]
    run: Callable[[Console, dict[str, Any]], None]
    propagates_errors: bool = False


class UsageError(CommandError):
    """A wrong argument, or input that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(join_lines(message), returncode=2)


class CheckFailed(CommandError):
    """The answer is no, or what was to be done could not be done."""

    def __init__(self, message: str) -> None:
        super().__init__(join_lines(message), returncode=1)


def join_lines(message: object) -> str:
    """``message`` without line ends: databases like to put several into theirs."""
    return " ".join(str(message).split())


def validate_choice(value: str, valid: Iterable[str], what: str) -> str:
    """``value`` where it is one of ``valid``. Raises ``UsageError``; ``what`` is what it names ("format")."""
    names = list(valid)
    if value in names:
        return value
    raise UsageError(
        _("No %(what)s %(value)r. %(hint)s")
        % {"what": what, "value": value, "hint": did_you_mean(value, names)}
    )


def parse_integer(value: Any, option: str, *, least: int) -> int:
    """``value`` as a whole number of at least ``least``. Raises ``UsageError``."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if number < least:
        raise UsageError(
            _("%(option)s %(value)s: give a whole number of at least %(least)d.")
            % {"option": option, "value": value, "least": least}
        )
    return number


def add_format(parser: CommandParser, *valid: str) -> None:
    """``--format``, the first of ``valid`` unless told otherwise; ``chosen()`` checks it."""
    parser.add_argument("--format", default=valid[0], metavar="|".join(valid), help=_("Of the output."))
