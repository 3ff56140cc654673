"""The programs that the services need: where they are, and what to install where one is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

#: Programs that must come from one folder, since they must be of one version: Debian keeps them off PATH.
POSTGRESQL = ("initdb", "postgres", "pg_ctl", "pg_basebackup", "psql")
MARIADB = ("mariadb-install-db", "mariadbd")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Missing(Exception):
    """Something has to be installed first; the message says what, in one line."""


def postgresql() -> Path:
    """The folder of PostgreSQL's programs: the first on PATH that has all, else the newest of Debian's."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(packaged, key=lambda folder: _version(folder.parent.name), reverse=True)
    for folder in (*map(Path, os.get_exec_path()), *newest_first):
        if all(os.access(folder / program, os.X_OK) for program in POSTGRESQL):
            return folder
    raise Missing("PostgreSQL (apt install postgresql)")


def mariadb() -> dict[str, Path]:
    """MariaDB's programs by name. The server is not on the PATH of everybody."""
    path = os.pathsep.join([*os.get_exec_path(), "/usr/sbin"])
    found = {program: shutil.which(program, path=path) for program in MARIADB}
    if not all(found.values()):
        raise Missing("MariaDB (apt install mariadb-server)")
    return {program: Path(place) for program, place in found.items() if place}


def browser() -> Path:
    for program in BROWSERS:
        if place := shutil.which(program):
            return Path(place)
    raise Missing("Chromium (apt install chromium)")


SEARCHES = {"postgresql": postgresql, "mariadb": mariadb, "chromium": browser}


def missing(names: Collection[str] = ("postgresql", "mariadb")) -> str | None:
    """One line that says what of these has to be installed, or None."""
    lacking = []
    for name in names:
        try:
            SEARCHES[name]()
        except Missing as error:
            lacking.append(str(error))
    return f"Not found: {', '.join(lacking)}." if lacking else None


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())
