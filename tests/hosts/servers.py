"""Real servers for the test project: each a process of its own, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx

from dbroute_panel.stores import SQLiteStore
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent

# A connection that waits for its next request for some seconds, on a busy machine, is not closed meanwhile.
GUNICORN = [
    *("gunicorn", "example_site.wsgi:application", "--workers=3", "--threads=4", "--worker-class=gthread"),
    *("--no-control-socket", "--bind=fd://{fd}", "--keep-alive=600"),
]
UVICORN = [
    *("uvicorn", "example_site.asgi:application", "--fd={fd}", "--lifespan=off"),
    "--timeout-keep-alive=600",
]
# Django's own server takes no open socket; the port was free a moment ago.
RUNSERVER = ["example_site", "runserver", "--noreload", "{port}"]
COMMANDS = {"gunicorn": GUNICORN, "uvicorn": UVICORN, "runserver": RUNSERVER}

COMPLAINTS = (
    "dbroute_panel could not",
    "could not be kept",
    "Task was destroyed",
    "was never awaited",
    "ignored",
)
"""What must never be in the log of a server: an error of ours, or an async end that went wrong."""


class Server:
    """One server with databases and a store of its own. It runs until ``stop()``."""

    def __init__(self, name: str, folder: Path, settings: str = "tests.hosts.settings") -> None:
        self.name = name
        self.store = SQLiteStore(folder / "traces.sqlite3")
        self.data = folder / "data"
        self.log = folder / "log.txt"
        # The port stays taken from here on: the server is given the open socket.
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = self.socket.getsockname()
        self.url = "http://{}:{}".format(*self.address)
        values = {"fd": self.socket.fileno(), "port": self.address[1]}
        takes_socket = any("{fd}" in part for part in COMMANDS[name])
        if not takes_socket:
            self.socket.close()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(**values) for part in COMMANDS[name])],
                cwd=ROOT,
                env=os.environ
                | {
                    "DJANGO_SETTINGS_MODULE": settings,
                    "EXAMPLE_SITE_DATA": str(self.data),
                    "EXAMPLE_SITE_TRACES": str(self.store.path),
                },
                pass_fds=[self.socket.fileno()] if takes_socket else [],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_it_answers(self) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(self.log.read_text())

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_SECONDS)

    def traces(self, count: int):
        """The traces, once there are so many: one is kept after its response was sent."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.store.count() < count and time.monotonic() < until:
            time.sleep(0.02)
        traces = list(self.store.traces())
        assert len(traces) == count, [trace.name for trace in traces]
        return traces

    def trace(self):
        """The only trace there is."""
        (trace,) = self.traces(1)
        return trace

    def leave(self, path: str, read: int = 1) -> None:
        """Ask for a page, read a little of it, and be gone without a word."""
        with closing(socket.create_connection(self.address, timeout=PATIENCE_SECONDS)) as client:
            # What the network takes in advance stays small, so that the server soon waits for us.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            received = 0
            while received < read:
                received += len(client.recv(4096))
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.socket.close()
            self.store.close()
