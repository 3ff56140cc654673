"""The programs that the services need: where they are, and what to install where one is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

#: What each is called, and the package of Debian and Ubuntu that has it.
PACKAGES = {
    "postgresql": ("PostgreSQL", "postgresql"),
    "mariadb": ("MariaDB", "mariadb-server"),
    "browser": ("Chromium", "chromium"),
}
#: Programs that must come from one folder, since they must be of one version. Debian keeps them off PATH.
POSTGRESQL = ("initdb", "postgres", "pg_ctl", "pg_basebackup", "psql")
PACKAGED = Path("/usr/lib/postgresql")
MARIADB = ("mariadb-install-db", "mariadbd")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Not on the PATH of everybody.
SBIN = "/usr/sbin"


class Missing(Exception):
    """Something has to be installed first; the message says in one line what."""


def postgresql() -> Path:
    """The folder of PostgreSQL's programs: the first on PATH that has all, else the newest of Debian's."""
    newest_first = sorted(
        PACKAGED.glob("*/bin"), key=lambda folder: _version(folder.parent.name), reverse=True
    )
    for folder in (*map(Path, os.get_exec_path()), *newest_first):
        if all(os.access(folder / program, os.X_OK) for program in POSTGRESQL):
            return folder
    raise _missing(["postgresql"])


def mariadb() -> dict[str, Path]:
    """MariaDB's programs by name."""
    path = os.pathsep.join([*os.get_exec_path(), SBIN])
    found = {program: Path(place) for program in MARIADB if (place := shutil.which(program, path=path))}
    if len(found) < len(MARIADB):
        raise _missing(["mariadb"])
    return found


def browser() -> Path:
    for program in BROWSERS:
        if place := shutil.which(program):
            return Path(place)
    raise _missing(["browser"])


def require(names: Collection[str]) -> None:
    """A :class:`Missing` of all that are not there, and not only of the first."""
    lacking = []
    for name in names:
        try:
            SEARCHES[name]()
        except Missing:
            lacking.append(name)
    if lacking:
        raise _missing(lacking)


SEARCHES = {"postgresql": postgresql, "mariadb": mariadb, "browser": browser}


def _missing(names: Collection[str]) -> Missing:
    products = ", ".join(PACKAGES[name][0] for name in names)
    packages = " ".join(PACKAGES[name][1] for name in names)
    return Missing(f"Not installed: {products}. On Debian and Ubuntu: apt install {packages}")


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())
