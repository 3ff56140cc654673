"""
The subcommands' common parts: their definition, their errors, and the parser of their arguments.

A subcommand writes to its console. If the answer is no it raises ``CheckFailed`` (exit code 1), and if the
question makes no sense ``UsageError`` (2): one sentence each, which names what is valid.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
from django.core.management.base import CommandError, CommandParser, DjangoHelpFormatter
from django.utils.translation import gettext as _

from dbroute_panel.cli.console import Console
from dbroute_panel.suggestions import did_you_mean


class Subcommand(msgspec.Struct, frozen=True, kw_only=True):
    """
    One subcommand of ``manage.py dbroute``.

    ``arguments`` declares its arguments. ``run`` gets the options by name. ``formats``: valid values of
    ``--format``, the default first; without any there is no such option. ``propagates_errors``: exceptions
    are not turned into one line, because they are of another command.
    """

    name: str
    help: Any
    arguments: Callable[[CommandParser], None]
    run: Callable[[Console, dict[str, Any]], None]
    formats: tuple[str, ...] = ()
    propagates_errors: bool = False


class UsageError(CommandError):
    """A wrong argument, or input that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(join_lines(message), returncode=2)


class ArgumentsError(UsageError):
    """The arguments cannot be parsed. Django parses them before it is ready to print an error."""


class CheckFailed(CommandError):
    """The answer is no, or the task could not be done."""

    def __init__(self, message: str) -> None:
        super().__init__(join_lines(message), returncode=1)


def join_lines(message: object) -> str:
    """Return ``message`` without line ends: errors of databases often have several lines."""
    return " ".join(str(message).split())


def validate_choice(value: str, valid: Iterable[str], what: str) -> str:
    """
    Return ``value`` if it is one of ``valid``.

    Args:
        value: The given word.
        valid: The words that may be given.
        what: The kind of word for the message ("format").

    Raises:
        UsageError: It is none of them; the message names the nearest.
    """
    names = list(valid)
    if value in names:
        return value
    raise UsageError(
        _("No %(what)s %(value)r. %(hint)s")
        % {"what": what, "value": value, "hint": did_you_mean(value, names)}
    )


def parse_integer(value: Any, option: str, *, least: int) -> int:
    """Return ``value`` as a whole number of at least ``least``. Raises ``UsageError``."""
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


class Parser(CommandParser):
    """
    A parser whose errors are one line that names what is valid; Django's prints its usage, which is long.

    It raises ``ArgumentsError``, on the command line and through ``call_command()`` alike. Django creates
    the parser of a command; ``convert()`` changes its class.
    """

    subparsers: Any

    @classmethod
    def convert(cls, parser: CommandParser) -> Parser:
        """Turn Django's ``parser`` into one of this class."""
        parser.__class__ = cls
        return cast("Parser", parser)

    def add_subcommands(self, subcommands: dict[str, Subcommand]) -> None:
        """Add a parser for each of ``subcommands``, which takes Django's own options as well."""
        own = [action for action in self._actions if action.dest != "help"]
        self.subparsers = self.add_subparsers(dest="subcommand", metavar="subcommand", title=_("subcommands"))
        for subcommand in subcommands.values():
            parser = self.subparsers.add_parser(
                subcommand.name,
                help=str(subcommand.help),
                description=str(subcommand.help),
                formatter_class=DjangoHelpFormatter,
            )
            subcommand.arguments(parser)
            if formats := subcommand.formats:
                metavar = "|".join(formats)
                parser.add_argument("--format", default=formats[0], metavar=metavar, help=_("Of the output."))
            for action in own:
                # Without a default, a value that was given before the subcommand is kept.
                again = copy.copy(action)
                again.default = argparse.SUPPRESS
                parser._add_action(again)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse the arguments, and refuse unknown ones with a suggestion."""
        found, unknown = self.parse_known_args(args, namespace)
        if found.no_color and found.force_color:
            raise ArgumentsError(_("--no-color and --force-color cannot be used together."))
        if unknown:
            self._reject_unknown(unknown[0], getattr(found, "subcommand", None))
        return found

    def error(self, message: str) -> Any:
        """Raise what argparse found; its messages are fragments."""
        text = f"{message[:1].upper()}{message[1:]}"
        raise ArgumentsError(_("%(error)s; see '%(prog)s --help'.") % {"error": text, "prog": self.prog})

    def _reject_unknown(self, given: str, subcommand: str | None) -> None:
        parser = self.subparsers.choices.get(subcommand, self)
        if given.startswith("-"):
            options = [name for name in parser._option_string_actions if name.startswith("--")]
            name = given.partition("=")[0]
            hint = did_you_mean(name, options)
            raise ArgumentsError(_("No option %(name)r. %(hint)s") % {"name": name, "hint": hint})
        parser.error(_("%(given)r is one argument too many") % {"given": given})

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and action.choices is not None:
            try:
                validate_choice(value, action.choices, _("subcommand"))
            except UsageError as error:
                raise ArgumentsError(str(error)) from None
        super()._check_value(action, value)
