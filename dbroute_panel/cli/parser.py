"""
How are arguments read so that a wrong one is one line, with the right one in it?

Django's own parser prints its usage, which for ten subcommands is a screenful.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from typing import Any, cast

from django.core.management.base import CommandParser, DjangoHelpFormatter
from django.utils.translation import gettext as _

from dbroute_panel.cli.subcommand import Subcommand, UsageError, validate_choice
from dbroute_panel.suggestions import did_you_mean


class ArgumentsError(UsageError):
    """The arguments cannot be read. Django parses them before it is ready to print an error."""


class Parser(CommandParser):
    """
    Raises ``WrongArguments``, on the command line and through ``call_command()`` alike.

    Django makes a command's parser by itself: ``adopt()`` turns it into one of these.
    """

    subparsers: Any

    @classmethod
    def convert(cls, parser: CommandParser) -> Parser:
        parser.__class__ = cls
        return cast("Parser", parser)

    def add_subcommands(self, subcommands: dict[str, Subcommand]) -> None:
        """A parser for each of ``subcommands``, with Django's own options as well."""
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
            for action in own:
                # Without a default: what was given before the subcommand stays.
                again = copy.copy(action)
                again.default = argparse.SUPPRESS
                parser._add_action(again)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        found, unknown = self.parse_known_args(args, namespace)
        if found.no_color and found.force_color:
            raise ArgumentsError(_("--no-color and --force-color cannot be used together."))
        if unknown:
            self._reject_unknown(unknown[0], getattr(found, "subcommand", None))
        return found

    def error(self, message: str) -> Any:
        """What argparse found; its messages are fragments."""
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
