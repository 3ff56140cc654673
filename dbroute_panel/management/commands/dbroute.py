"""``manage.py dbroute``: ask the routers, and look at what was recorded, in a terminal or in CI."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.connection import ConnectionDoesNotExist
from django.utils.translation import gettext as _

from dbroute_panel.cli import SUBCOMMANDS, Subcommand
from dbroute_panel.cli.console import Console
from dbroute_panel.cli.subcommand import ArgumentsError, CheckFailed, Parser, UsageError, validate_choice
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.stores import StoreError


class Command(BaseCommand):
    help = "Ask the database routers, trace commands, and look at the recorded traces."
    # A wrong setting or a store that fails is one line if it matters, not a report before each answer.
    requires_system_checks = []
    program = "manage.py"

    def __init__(
        self,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        no_color: bool = False,
        force_color: bool = False,
    ) -> None:
        # https://no-color.org/, which Django does not support. An option overrides it.
        no_color = no_color or (bool(os.environ.get("NO_COLOR")) and not force_color)
        super().__init__(stdout, stderr, no_color, force_color)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--skip-checks", action="store_true", help="As for every command; there are none."
        )
        Parser.convert(parser).add_subcommands(SUBCOMMANDS)

    def run_from_argv(self, argv: list[str]) -> None:
        self.program = argv[0]
        try:
            super().run_from_argv(argv)
        except ArgumentsError as error:
            plain = str if "--no-color" in argv else None
            self.stderr.write(f"CommandError: {error}", style_func=plain)
            sys.exit(error.returncode)

    def handle(self, *args: Any, subcommand: str | None, **options: Any) -> None:
        console = Console(self, verbosity=options["verbosity"], force_color=options["force_color"])
        if subcommand is None:
            console.print_lines(self.create_parser(self.program, "dbroute").format_help())
            return
        chosen = SUBCOMMANDS[subcommand]
        try:
            if chosen.formats:
                validate_choice(options["format"], chosen.formats, _("format"))
            if chosen.propagates_errors:
                chosen.run(console, options)
            else:
                run_subcommand(chosen, console, options)
        except (UsageError, CheckFailed) as error:
            # Django prints the name of the class of the error.
            raise CommandError(str(error), returncode=error.returncode) from error
        finally:
            console.flush()  # also before Django writes an error, which may go to the same pipe


def run_subcommand(subcommand: Subcommand, console: Console, options: dict[str, Any]) -> None:
    """Run ``subcommand``, and turn errors from outside of it into one line without a traceback."""
    try:
        subcommand.run(console, options)
    except CommandError:
        raise
    except AskError as error:
        raise UsageError(str(error)) from error
    except StoreError as error:
        raise CheckFailed(str(error)) from error
    except (DatabaseError, ConnectionDoesNotExist, ImproperlyConfigured) as error:
        raise CheckFailed(mask_credentials(f"{type(error).__name__}: {error}")) from error
    except KeyboardInterrupt:
        console.note("")
        raise SystemExit(130) from None
