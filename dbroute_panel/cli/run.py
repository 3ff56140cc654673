"""
``dbroute run``: run a management command under a trace.

The output, the exit code and the errors of the command are as if it had been run directly.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Any

from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.cli import output
from dbroute_panel.cli.console import Console
from dbroute_panel.cli.lookup import collect_complaints
from dbroute_panel.cli.subcommand import CheckFailed, Subcommand, UsageError, validate_choice
from dbroute_panel.recording import trace
from dbroute_panel.records import Trace
from dbroute_panel.stores import MemoryStore, get_store


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--export", metavar="F", help=_("Also write the trace to this file, in the format of its name.")
    )
    parser.add_argument(
        "command", metavar="-- COMMAND ...", nargs=argparse.REMAINDER, help=_("As after 'manage.py'.")
    )


def run(console: Console, options: dict[str, Any]) -> None:
    words = [str(word) for word in options["command"]]
    if words[:1] == ["--"]:  # argparse leaves it there
        del words[0]
    check_command(words)
    path = None if options["export"] is None else output.check_writable(options["export"])
    if path is not None:
        output.guess_format(path)
    raised: BaseException | None = None
    with collect_complaints() as heard:
        traced = trace(shlex.join(words), kind="command")
        try:
            with traced:
                call_traced(console, words)
        except BaseException as error:  # noqa: BLE001 - raised again once the trace is safe
            raised = error
    try:
        if path is not None:
            output.write_file(path, output.guess_format(path).write([traced.document]))
        report_trace(console, traced, heard)
    except UsageError as error:
        # An error of the command itself matters more.
        if raised is None or (isinstance(raised, SystemExit) and not raised.code):
            raise CheckFailed(str(error)) from error
        console.note(str(error), always=True)
    if raised is not None:
        raise raised


def check_command(words: list[str]) -> None:
    """Raise ``UsageError`` if this is no command that can be run."""
    if not words:
        example = "dbroute run -- migrate --database=primary"
        raise UsageError(_("Which command? For example: %(example)s") % {"example": example})
    validate_choice(words[0], get_commands(), _("command"))
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    for place, word in enumerate(words[1:], 1):
        name, sign, value = word.partition("=")
        value = value if sign else "".join(words[place + 1 : place + 2])
        if name == "--settings" and value != module:
            raise UsageError(_("The settings are loaded already: give --settings before the '--'."))


def call_traced(console: Console, words: list[str]) -> None:
    name, *rest = words
    if not console.from_command_line:
        out: Any = console.stdout
        err: Any = console.stderr
        call_command(name, *rest, stdout=out._out, stderr=err._out)
        return
    app = get_commands()[name]
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    try:
        command.run_from_argv([console.program, name, *rest])
    except CommandError:
        # It was given --traceback. If it were raised from here, Django would take it for our error.
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def report_trace(console: Console, traced: trace, heard: list[str]) -> None:
    """Print where the trace is, on a terminal or with ``-v 2``; in any case if it is lost."""
    if heard:
        console.note(heard[0], always=True)
    elif traced.joined:
        return
    elif console.from_command_line and isinstance(get_store(), MemoryStore):
        console.note(_("The trace ends with this process, because the store is a MemoryStore: use --export."))
    elif console.verbosity > 1 or console.stderr.isatty():
        console.note(format_summary(traced.document))


def format_summary(document: Trace) -> str:
    queries, decisions = len(document.queries), len(document.decisions)
    return _("%(queries)s, %(decisions)s: dbroute show %(id)s") % {
        "queries": ngettext("%(count)d query", "%(count)d queries", queries) % {"count": queries},
        "decisions": ngettext("%(count)d decision", "%(count)d decisions", decisions) % {"count": decisions},
        "id": document.id[:8],
    }


SUBCOMMAND = Subcommand(
    name="run",
    help=gettext_lazy("Run another management command under a trace."),
    arguments=add_arguments,
    run=run,
    propagates_errors=True,
)
