"""
How the replicas follow the primary, and how far they lag behind: as files, or as PostgreSQL's own replicas.

With a lag of 0 a reader of a replica never sees a difference. With a lag of N seconds a commit shows up
there N seconds later; with a lag of ``None``, when ``replicate()`` is called. The lag holds for every process
that serves the site.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from django.conf import settings

PRIMARY = "primary"


def lag() -> float | None:
    """Seconds until a commit shows up on the replicas, or None: not before ``replicate()``."""
    seconds: float | None = _way().lag()
    return seconds


def set_lag(seconds: float | None) -> None:
    """Set the lag, for every process. A negative one is a ``ValueError``."""
    if seconds is not None and not 0 <= seconds < float("inf"):
        raise ValueError(f"A lag is a number of seconds from 0 up, or None; not {seconds}.")
    _way().set_lag(seconds)


@contextmanager
def lagging(seconds: float | None) -> Iterator[None]:
    """The same, until the block ends; then the lag is what it was before."""
    before = lag()
    set_lag(seconds)
    try:
        yield
    finally:
        set_lag(before)


def replicas() -> list[str]:
    return [alias for alias, of in settings.DBROUTE_PANEL["REPLICAS"].items() if of == PRIMARY]


def replicate() -> None:
    """Bring every replica up to date now, whatever the lag."""
    _way().replicate(replicas())


def behind(alias: str) -> bool:
    """Whether a reader of the replica finds anything else than on the primary."""
    found: bool = _way().behind(alias)
    return found


def forget() -> None:
    """Close the connections that are kept here, as before the files are replaced by others."""
    _way().forget()


def _way() -> ModuleType:
    # The drivers of the services are not there where only files are used.
    if settings.CONFIGURATION == "services":
        from example_site.replication import streaming

        return streaming
    from example_site.replication import files

    return files
