"""``runserver``, which says at last where the site is and how to log in: also after each restart."""

from __future__ import annotations

import os
from typing import Any, Final

from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand
from django.core.management import CommandError, CommandParser, call_command
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

MAX_PORT: Final = 65535


class Command(RunserverCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--setup", action="store_true", help="setup_demo before, in the same process")

    def handle(self, *args: Any, setup: bool = False, **options: Any) -> None:
        self._check_port((options["addrport"] or "0").rpartition(":")[2])
        # The process that serves is started anew by the one that watches the files.
        if setup and os.environ.get(DJANGO_AUTORELOAD_ENV) != "true":
            call_command("setup_demo", verbosity=options["verbosity"])
        super().handle(*args, **options)

    def _check_port(self, port: str) -> None:
        """Refuse what is no port before anything is made; where one is too high Django has a traceback."""
        if not port.isdecimal() or int(port) > MAX_PORT:
            raise CommandError(f"{port!r} is no port: it is a number up to {MAX_PORT}.")

    def on_bind(self, server_port: int) -> None:
        super().on_bind(server_port)
        host = f"[{self.addr}]" if self._raw_ipv6 else self.addr
        site = self.style.SUCCESS(f"The site: {self.protocol}://{host}:{server_port}/")
        self.stdout.write(f"{site}  Its admin: admin / admin")
