"""A MariaDB of its own, made by ``mariadb-install-db``, with one empty database."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from example_site.services import programs
from example_site.services.account import Account, Failed, free_port, last_lines

USER = "example_site"
DATABASE = "legacy_users"

# What is lost in a crash here, nobody misses.
OPTIONS = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    "--performance-schema=OFF",
    "--max-connections=60",
]


class MariaDB:
    """One server, its data and its log in a folder below ``parent``."""

    def __init__(self, name: str, parent: Path, password: str) -> None:
        self.name = name
        self.folder = parent / name
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.password = password
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.account = Account("mysql")
        self.programs = programs.mariadb()

    def start(self) -> None:
        self.account.make_folder(self.folder)
        self.account.run(
            self.programs["mariadb-install-db"],
            "--no-defaults",
            f"--datadir={self.data}",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={self.account.name}",
            "--skip-test-db",
            folder=self.folder,
        )
        self.port = free_port()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    self.programs["mariadbd"],
                    "--no-defaults",
                    f"--datadir={self.data}",
                    f"--port={self.port}",
                    f"--socket={self.folder / 'socket'}",
                    f"--pid-file={self.folder / 'pid'}",
                    f"--init-file={self._first_statements()}",
                    *OPTIONS,
                ],
                stdout=output,
                stderr=output,
                **self.account.arguments(self.folder),
            )
        self._wait(seconds=60)

    def stop(self) -> None:
        if self.process:
            # Not gently: what it would save is removed in the next moment.
            self.process.kill()
            self.process.wait(timeout=30)

    def _first_statements(self) -> Path:
        """A file of statements, one a line, that the server runs before it listens to anybody."""
        file = self.folder / "first.sql"
        lines = [
            f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;",
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{self.password}';",
            f"GRANT ALL ON *.* TO {USER}@'127.0.0.1';",
        ]
        file.write_text("\n".join([*lines, ""]))
        self.account.own(file)
        return file

    def _wait(self, *, seconds: float) -> None:
        """Until it greets: the kernel takes connections before that, and so tells nothing."""
        assert self.process is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"mariadbd ended: {last_lines(self.log)}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    if connection.recv(1):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise Failed(f"mariadbd does not answer after {seconds:g} s: {last_lines(self.log)}")
