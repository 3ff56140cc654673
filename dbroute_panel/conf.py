"""
What did the project set in ``settings.DBROUTE_PANEL``?

``panel_settings`` has one property a key, read when it is asked for, so ``override_settings``
works. A value is checked by its rule in ``keys.KEYS`` the first time it is read, and kept until
the settings change: some are read once a request. A value that breaks its rule is reported by
the system checks; servers run none, so here it is logged once and the default is used.
"""

# ruff: noqa: N802 - a property is named as its key

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from django.conf import settings
from django.core.signals import setting_changed

from dbroute_panel.keys import KEYS, all_mistakes
from dbroute_panel.rules import primary_of

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger(__name__)

DUMMY: Final = "django.db.backends.dummy"
"""The engine of a database that is ``{}`` in ``DATABASES``."""


class PanelSettings:
    """The settings of this package, by the names of the keys; see ``keys.KEYS`` for what is valid."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._logged: dict[str, object] = {}

    @property
    def SHOULD_RECORD(self) -> Callable[[HttpRequest], bool]:
        """Whether the middleware records a request: the function itself, already imported."""
        function: Callable[[HttpRequest], bool] = self._read("SHOULD_RECORD")
        return function

    @property
    def SAMPLE_RATE(self) -> float:
        """The share of requests recorded when ``DEBUG`` is off, from 0.0 to 1.0."""
        share: float = self._read("SAMPLE_RATE")
        return share

    @property
    def KEEP(self) -> Literal["all", "findings"]:
        """Which traces are kept: all, or those with a finding of level warning or error."""
        which: Literal["all", "findings"] = self._read("KEEP")
        return which

    @property
    def RECORD_PARAMS(self) -> bool:
        """Whether parameter values are kept; unless set, as ``settings.DEBUG`` is now."""
        record: bool | None = self._read("RECORD_PARAMS")
        return settings.DEBUG if record is None else record

    @property
    def CALLSITES(self) -> bool:
        """Whether the file, line and function of the user's code are recorded."""
        record: bool = self._read("CALLSITES")
        return record

    @property
    def USER_PACKAGES(self) -> tuple[str, ...]:
        """Packages that are the user's code, beside those of the settings and of ``ROOT_URLCONF``."""
        names: tuple[str, ...] = self._read("USER_PACKAGES")
        return names

    @property
    def FOLLOW_SESSIONS(self) -> bool:
        """Whether a request's reads are held against what its session wrote in the requests before."""
        follow: bool = self._read("FOLLOW_SESSIONS")
        return follow

    @property
    def MAX_EVENTS(self) -> int:
        """How many events a trace keeps; what is beyond is counted."""
        most: int = self._read("MAX_EVENTS")
        return most

    @property
    def MAX_TRACES(self) -> int:
        """How many traces the store keeps."""
        most: int = self._read("MAX_TRACES")
        return most

    @property
    def REPLICAS(self) -> dict[str, str]:
        """As set; ``replicas()`` also knows those that ``TEST["MIRROR"]`` names."""
        replica_of: dict[str, str] = self._read("REPLICAS")
        return replica_of

    @property
    def STORE(self) -> dict[str, Any]:
        """``BACKEND``, a dotted path, and ``OPTIONS``, a dict. ``stores.get_store()`` makes the store."""
        store: dict[str, Any] = self._read("STORE")
        return store

    @property
    def OTLP_ENDPOINT(self) -> str | None:
        """The URL that every kept trace is sent to, or None."""
        url: str | None = self._read("OTLP_ENDPOINT")
        return url

    @property
    def SILENCED_FINDINGS(self) -> frozenset[str]:
        """The codes of findings that are not reported."""
        codes: frozenset[str] = self._read("SILENCED_FINDINGS")
        return codes

    @property
    def FINDINGS(self) -> tuple[Callable[..., Any], ...]:
        """The project's own finding functions, already imported."""
        functions: tuple[Callable[..., Any], ...] = self._read("FINDINGS")
        return functions

    @property
    def SERVER_TIMING(self) -> bool:
        """Whether the response header is sent; unless set, as ``settings.DEBUG`` is now."""
        send: bool | None = self._read("SERVER_TIMING")
        return settings.DEBUG if send is None else send

    @property
    def EDITOR_URL(self) -> str | None:
        """A URL with ``{file}`` and ``{line}`` that opens the user's editor, or None."""
        url: str | None = self._read("EDITOR_URL")
        return url

    def reset(self) -> None:
        """Read everything afresh, and log afresh what is wrong."""
        self._values = {}
        self._logged = {}

    def _read(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            value = self._values[name] = self._resolve(name)
            return value

    def _resolve(self, name: str) -> Any:
        key = KEYS[name]
        given = getattr(settings, "DBROUTE_PANEL", {})
        if not isinstance(given, dict):
            self._log("", next(all_mistakes(given)).message)
        elif name in given:
            mistakes = key.mistakes(given[name])
            if not mistakes:
                return key.resolve(given[name])
            self._log(name, mistakes[0].message)
        return key.resolve(key.default)

    def _log(self, name: str, message: str) -> None:
        # Several threads may read a key for the first time at once; setdefault lets one of them log.
        first = object()
        if self._logged.setdefault(name, first) is first:
            logger.error("%s The default is used instead. Run 'manage.py check' for more.", message)


panel_settings = PanelSettings()


def replicas() -> dict[str, str]:
    """
    Which aliases are replicas, and of which primary: ``REPLICAS`` and every ``TEST["MIRROR"]``.

    A replica of a replica has the primary at the end of that chain. Reads ``settings.DATABASES``
    as it is now (aliases may be added at run time) and never ``connections``, which would be
    configured by it.
    """
    databases = settings.DATABASES
    replica_of = {
        alias: mirror
        for alias, database in databases.items()
        if (mirror := (database.get("TEST") or {}).get("MIRROR")) in databases
    }
    replica_of.update(panel_settings.REPLICAS)
    primaries = {alias: primary_of(alias, replica_of) for alias in replica_of}
    return {alias: primary for alias, primary in primaries.items() if primary is not None}


def reset_on_change(*, setting: str, **kwargs: Any) -> None:
    """``DATABASES`` too: it decides whether ``REPLICAS`` is valid."""
    if setting in ("DBROUTE_PANEL", "DATABASES"):
        panel_settings.reset()


setting_changed.connect(reset_on_change, dispatch_uid="dbroute_panel.conf")
