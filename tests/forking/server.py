"""
The server of ``tests.forking``: ``python -sP server.py ADDRESS``. It ends when its standard input does.

A child leaves ``serve()`` and runs its program at the end of this file, so that it ends like any other: what
is registered for the end of a process is done, an exception is shown, files are closed.
"""

from __future__ import annotations

import gc
import importlib
import io
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from typing import NamedTuple

# What imports most of what a command of a project imports, as far as that needs no settings.
IMPORTED = [
    "asyncio",
    "concurrent.futures",
    "csv",
    "decimal",
    "difflib",
    "email.mime.text",
    "html.parser",
    "http.cookies",
    "json",
    "logging.config",
    "sqlite3",
    "ssl",
    "uuid",
    "zoneinfo",
    "asgiref.local",
    "asgiref.sync",
    "msgspec",
    "platformdirs",
    "pygments.formatters",
    "pygments.lexers.python",
    "pygments.lexers.sql",
    "sqlparse",
    "django.conf.urls",
    "django.contrib.admindocs",
    "django.contrib.auth.hashers",
    "django.contrib.messages.storage.fallback",
    "django.contrib.sessions.backends.db",
    "django.contrib.staticfiles.finders",
    "django.core.cache.backends.locmem",
    "django.core.checks.registry",
    "django.core.handlers.wsgi",
    "django.core.mail",
    "django.core.management.commands.migrate",
    "django.core.management.commands.runserver",
    "django.core.serializers",
    "django.core.servers.basehttp",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.autodetector",
    "django.db.models.functions",
    "django.forms.models",
    "django.middleware.csrf",
    "django.template.defaultfilters",
    "django.template.loader_tags",
    "django.templatetags.i18n",
    "django.test.client",
    "django.urls",
    "django.utils.autoreload",
    "django.views.debug",
    "django.views.generic",
    "django.views.static",
]


class Program(NamedTuple):
    """What a child is to run."""

    arguments: list[str]
    folder: str
    environment: dict[bytes, bytes]
    files: list[int]


def serve(address: str) -> Program | None:
    """None when there is nothing more to do; in a child, what it has to run."""
    ended, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    asked: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        os.write(1, b"ready\n")
        while True:
            ready, _, _ = select.select([0, ended, listening, *asked.values()], [], [])
            gone = [child for child, connection in asked.items() if connection in ready or 0 in ready]
            for child in gone:  # and whoever asked, too
                os.kill(child, signal.SIGKILL)
            if 0 in ready:
                return None
            if ended in ready:
                os.read(ended, 4096)
                tell_of_the_ended(asked)
            elif listening in ready and (program := forked(listening, asked)) is not None:
                os.close(ended)
                os.close(wakes)
                return program


def tell_of_the_ended(asked: dict[int, socket.socket]) -> None:
    """Those that are dead are no longer asked for."""
    while asked:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            break
        with asked.pop(child) as connection, suppress(OSError):
            connection.sendall(status.to_bytes(4, "big"))


def forked(listening: socket.socket, asked: dict[int, socket.socket]) -> Program | None:
    """What is asked for, in a child that was made for it; None in the server."""
    connection, _ = listening.accept()
    program = received(connection)
    child = os.fork()
    if child:
        for number in program.files:
            os.close(number)
        asked[child] = connection
        with suppress(OSError):
            connection.sendall(child.to_bytes(4, "big"))
        return None
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for other in (connection, *asked.values()):
        other.close()
    return program


def received(connection: socket.socket) -> Program:
    head, files, _, _ = socket.recv_fds(connection, 4, 3)
    length, wanted = int.from_bytes(head, "big"), b""
    while len(wanted) < length:
        wanted += connection.recv(length - len(wanted))
    return Program(*marshal.loads(wanted), files)


def become(program: Program) -> None:
    """Be the process that was asked for."""
    for number, file in enumerate(program.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(program.folder)
    os.environb.clear()
    os.environb.update(program.environment)
    time.tzset()
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)
    sys.stdout = sys.__stdout__ = written(1, sys.stdout, unbuffered)
    sys.stderr = sys.__stderr__ = written(2, sys.stderr, unbuffered)
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.warnoptions[:] = filter(None, os.environ.get("PYTHONWARNINGS", "").split(","))
    warnings._processoptions(sys.warnoptions)
    importlib.invalidate_caches()


def written(number: int, own: io.TextIOWrapper, unbuffered: bool) -> io.TextIOWrapper:
    """A standard stream as Python itself opens it: as it has opened the server's ``own``."""
    file = open(number, "wb", buffering=0 if unbuffered else -1, closefd=False)
    by_lines = number == 2 or os.isatty(number)
    return io.TextIOWrapper(file, own.encoding, own.errors, line_buffering=by_lines, write_through=unbuffered)


def run(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        sys.argv[:] = arguments[1:]
        sys.path[:] = [os.getcwd(), *PATH]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        sys.path[:] = [os.path.dirname(os.path.abspath(arguments[0])), *PATH]
        runpy.run_path(arguments[0], run_name="__main__")


PATH = list(sys.path)

if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if (program := serve(sys.argv[1])) is not None:
        become(program)
        run(program.arguments)
