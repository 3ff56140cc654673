"""
Real servers for the services configuration, in a temporary folder, for as long as a block lasts.

    with Services() as services:
        subprocess.run(command, env=os.environ | services.environ)

There are a PostgreSQL primary with two streaming replicas, and a MariaDB, on free ports of the loopback
interface. ``environ`` is what ``example_site.settings`` reads: ``EXAMPLE_SITE_DATABASES=services``, the
ports, and a password that was made for this run. In a shell, ``python -m example_site.services -- COMMAND``
does the same. Only the standard library is needed, and no server that runs already is touched.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Self

from example_site.services.mariadb import MariaDB
from example_site.services.postgresql import Cluster
from example_site.services.programs import Missing

__all__ = ["Missing", "Services"]

PRIMARY, REPLICAS = "primary", ["replica1", "replica2"]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Services:
    """Starts the servers on entry, and stops them on exit: also when the block ends by SIGTERM or Ctrl-C."""

    environ: dict[str, str]

    def __init__(self) -> None:
        self._undo = ExitStack()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if current_thread() is main_thread():
            self._handlers = {number: signal.getsignal(number) for number in ENDING}
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _end)
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def _start(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="example-site-services-"))
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        # The servers run as other accounts when this process is root's, and must be able to enter.
        folder.chmod(0o711)
        password = secrets.token_urlsafe(24)
        primary = Cluster(PRIMARY, folder, password)
        replicas = [Cluster(alias, folder, password) for alias in REPLICAS]
        legacy_users = MariaDB("legacy_users", folder, password)
        # Undone in the reverse order: the replicas stop before the primary that they follow.
        for server in (legacy_users, primary, *replicas):
            self._undo.callback(server.stop)
        # All in threads: when Ctrl-C interrupts this one, what is half started is first waited for.
        with ThreadPoolExecutor() as pool:
            beside = pool.submit(legacy_users.start)
            pool.submit(primary.start).result()
            for following in [pool.submit(replica.follow, primary) for replica in replicas]:
                following.result()
            beside.result()
        primary.be_awaited(REPLICAS)
        self.environ = {
            "EXAMPLE_SITE_DATABASES": "services",
            "EXAMPLE_SITE_DATA": str(folder / "site"),
            "EXAMPLE_SITE_HOST": "127.0.0.1",
            "EXAMPLE_SITE_PASSWORD": password,
            **{
                f"EXAMPLE_SITE_{server.name.upper()}_PORT": str(server.port)
                for server in (primary, *replicas, legacy_users)
            },
        }

    def _stop(self) -> None:
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)
        try:
            self._undo.close()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
