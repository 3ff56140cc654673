"""
A PostgreSQL cluster of its own: made by ``initdb``, or by ``pg_basebackup`` as a streaming replica.

How far a replica lags is its ``recovery_min_apply_delay``, which ``example_site.replication`` sets; without
a lag, a commit on the primary waits until both replicas show it.
"""

from __future__ import annotations

from pathlib import Path

from example_site.services import programs
from example_site.services.account import Account, free_port

USER = "example_site"
DATABASE = "library"

# What is lost in a crash here, nobody misses.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "max_wal_senders": "5",
    "wal_keep_size": "128MB",
    "hot_standby": "on",
    "hot_standby_feedback": "on",
    "wal_retrieve_retry_interval": "100ms",
    # A commit waits for the replicas that be_awaited() names; example_site.replication sets it with the lag.
    "synchronous_commit": "remote_apply",
    # For this it waits for somebody who reads there.
    "max_standby_streaming_delay": "2s",
}


class Cluster:
    """One server, its data and its log in a folder below ``parent``."""

    def __init__(self, name: str, parent: Path, password: str) -> None:
        self.name = name
        self.folder = parent / name
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.password = password
        self.port = 0
        self.account = Account("postgres")
        self.programs = programs.postgresql()

    def start(self) -> None:
        """Make a new cluster with an empty database, and start it."""
        self.account.make_folder(self.folder)
        secret = self.folder / "password"
        secret.write_text(self.password)
        self.account.own(secret)
        self._run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )
        self._serve()
        self.execute("postgres", f"CREATE DATABASE {DATABASE}")

    def follow(self, primary: Cluster) -> None:
        """Copy the primary, and start as a replica of it that streams its changes."""
        self.account.make_folder(self.folder)
        self._run(
            "pg_basebackup",
            f"--pgdata={self.data}",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
            f"--dbname=host=127.0.0.1 port={primary.port} user={USER} application_name={self.name}",
        )
        self._serve()

    def be_awaited(self, replicas: list[str]) -> None:
        """Name the replicas that a commit waits for while ``synchronous_commit`` is ``remote_apply``."""
        names = ", ".join(replicas)
        self.execute("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{len(replicas)} ({names})'")
        self.execute("postgres", "SELECT pg_reload_conf()")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", f"--pgdata={self.data}", "--mode=immediate", "stop")

    def execute(self, database: str, sql: str) -> None:
        self._run(
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            f"--command={sql}",
            f"host=127.0.0.1 port={self.port} user={USER} dbname={database}",
        )

    def _serve(self) -> None:
        self.port = free_port()
        lines = [f"{name} = '{value}'" for name, value in SETTINGS.items()]
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(
                "\n".join(["", *lines, f"port = {self.port}", f"cluster_name = '{self.name}'", ""])
            )
        self._run("pg_ctl", f"--pgdata={self.data}", f"--log={self.log}", "--wait", "--timeout=60", "start")

    def _run(self, program: str, *arguments: str) -> None:
        self.account.run(
            self.programs / program,
            *arguments,
            folder=self.folder,
            environ={"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "10"},
        )
