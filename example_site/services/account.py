"""The account that a server runs as: servers refuse to be root, or should not be."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

# Where a client or server would take a default from that belongs to somebody else's.
FOREIGN = ("PG", "MYSQL", "MARIADB")


SECONDS = 120
"""How long making a server's files may take, or starting it."""


class Failed(Exception):
    """A server could not be made or started; the message ends with what it wrote itself."""


class Account:
    """Runs programs as an unprivileged account: our own, or for root the first of ``names`` that exists."""

    def __init__(self, *names: str) -> None:
        self.entry = None if os.geteuid() else _first_of(*names, "nobody")

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        if self.entry:
            shutil.chown(folder, self.entry.pw_uid, self.entry.pw_gid)

    def own(self, file: Path) -> None:
        file.chmod(0o600)
        if self.entry:
            shutil.chown(file, self.entry.pw_uid, self.entry.pw_gid)

    @property
    def name(self) -> str:
        return (self.entry or pwd.getpwuid(os.geteuid())).pw_name

    def run(self, *command: Path | str, folder: Path, environ: dict[str, str] | None = None) -> str:
        """Wait for a command, and hand back what it put out; a :class:`Failed` if it fails."""
        log = folder / "commands.log"
        # To a file, and not to a pipe, which a server that the command leaves behind would keep open.
        with log.open("a") as output:
            try:
                finished = subprocess.run(
                    command,
                    stdout=output,
                    stderr=output,
                    check=False,
                    timeout=SECONDS,
                    **self.arguments(folder, environ),
                )
            except subprocess.TimeoutExpired:
                raise Failed(f"{Path(command[0]).name} was not done after {SECONDS} seconds.") from None
        if finished.returncode:
            raise Failed(f"{Path(command[0]).name} failed: {last_lines(log)}")
        return log.read_text(errors="replace")

    def arguments(self, folder: Path, environ: dict[str, str] | None = None) -> dict[str, Any]:
        """What ``subprocess`` is told besides the command. Ctrl-C in the terminal is not for the servers."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        account: dict[str, Any] = {}
        if self.entry:
            account = {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []}
        return {
            "cwd": folder,
            "env": inherited | {"HOME": str(folder), "LC_ALL": "C"} | (environ or {}),
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            **account,
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_lines(log: Path, count: int = 5) -> str:
    text = log.read_text(errors="replace") if log.exists() else "(nothing)"
    return "\n".join(text.strip().splitlines()[-count:])


def _first_of(*names: str) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failed(f"root needs one of these accounts to run servers as: {', '.join(names)}.")
