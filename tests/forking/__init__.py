"""
Many commands, each in a process of its own, for a third of what it costs to start them.

Most of a ``manage.py`` is spent on importing Django. A server has done that once, and nothing else: no
settings, no ``dbroute_panel``, no thread. For each command it forks; the child has the arguments, the folder,
the environment and the files of whoever asked, and ends as any process does.

``python()`` is the path of a ``python`` that asks the server, for a command line or a ``PATH``. What the
server cannot do (another hash seed, another encoding, ``-c`` and other options) it leaves to the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.forking.client import HASH_SEED

LOCALE = frozenset({"LANG", "LC_ALL", "LC_CTYPE"})
"""What decides on the encoding of files."""

FOLDER = Path(__file__).resolve().parent


class Server:
    """It runs until this process lets go of it, or ends."""

    def __init__(self) -> None:
        self.folder = TemporaryDirectory(prefix="dbroute-panel-forking-")
        address = Path(self.folder.name, "socket")
        self.process = subprocess.Popen(
            [sys.executable, "-sP", FOLDER / "server.py", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in LOCALE & {*os.environ}} | {"PYTHONHASHSEED": HASH_SEED},
        )
        assert self.process.stdout.readline() == b"ready\n"
        self.python = Path(self.folder.name, "bin", "python")
        self.python.parent.mkdir()
        self.python.write_text(f"#!{sys.executable} -IS\n{(FOLDER / 'client.py').read_text()}")
        self.python.chmod(0o755)

    def close(self) -> None:
        with suppress(OSError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


@cache
def server() -> Server:
    """The one of this process of pytest; ``tests/conftest.py`` closes it."""
    return Server()


def python() -> str:
    return str(server().python)
