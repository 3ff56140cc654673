"""
Django's system checks of ``settings.DBROUTE_PANEL``, of the store and of the routing.

The checks of the settings ask no router and open no database. Whether traces can be kept in a database is one
of Django's database checks, which run for the databases that are named (``check --database``). The numbers
are those of ``conf.MistakeKind``; ``W001``: traces cannot be kept; ``W002``: they cannot be sent. The static
findings are checks too, but run only when they are asked for: ``check --tag dbroute``, ``check --deploy``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from dbroute_panel import findings
from dbroute_panel.conf import SETTINGS, Mistake, MistakeKind, all_mistakes, panel_settings
from dbroute_panel.inspection.lints import LINTS, run_lints
from dbroute_panel.records import Level
from dbroute_panel.stores import InvalidStoreError, Store, build
from dbroute_panel.suggestions import did_you_mean
from dbroute_panel.telemetry import EXTRA, is_installed

FILE_HINT = "Name a file that may be written in DBROUTE_PANEL['STORE']['OPTIONS']['path']."


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Return the mistakes in ``DBROUTE_PANEL`` as errors; a store that cannot be written as a warning."""
    mistakes = list(all_mistakes(getattr(settings, "DBROUTE_PANEL", {})))
    return [
        *map(build_error, mistakes),
        *map(build_error, find_unknown_codes()),
        *check_store(),
        *check_telemetry(),
    ]


def check_database_store(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """
    Open the store, and return a warning if it is in one of ``databases`` and cannot be written.

    A check for ``Tags.database``: Django runs these for the databases that ``check --database`` names, and
    ``migrate`` for its database. Since Django 6.1 other checks are not told which may be opened.
    """
    try:
        store = _build_store()
    except InvalidStoreError:  # check_settings() says so
        return []
    if store.alias is None or store.alias not in (databases or ()):
        return []
    hint = f"Until {store.alias!r} can be written, the site goes on without traces."
    return list(check_problem(store, hint))


def build_error(mistake: Mistake) -> checks.Error:
    return checks.Error(mistake.message, hint=mistake.hint, id=f"dbroute_panel.E{mistake.kind:03}")


def find_unknown_codes() -> Iterator[Mistake]:
    """
    Yield codes in ``SILENCED_FINDINGS`` that no finding of a trace, of the routing or of the project has.

    None if a function of the project does not declare its code, because it may yield any.
    """
    if any(getattr(function, "code", None) is None for function in panel_settings.FINDINGS):
        return
    valid = findings.codes() | LINTS.keys()
    for code in sorted(panel_settings.SILENCED_FINDINGS - valid):
        yield SETTINGS["SILENCED_FINDINGS"].mistake(
            MistakeKind.VALUE, f"has {code!r}, which no finding has as its code", did_you_mean(code, valid)
        )


def check_store() -> Iterator[checks.CheckMessage]:
    """Check the store that will be used. The shape of ``STORE`` is checked with the settings."""
    try:
        store = _build_store()
    except InvalidStoreError as error:
        yield build_error(Mistake(MistakeKind.STORE, f"DBROUTE_PANEL['STORE']: {error}", error.hint))
    else:
        if store.alias is None:
            yield from check_problem(store, FILE_HINT)


def check_problem(store: Store, hint: str) -> Iterator[checks.CheckMessage]:
    """Yield a warning if ``store`` reports that it cannot keep traces."""
    try:
        problem = store.problem()
        store.close()
    except Exception as error:  # noqa: BLE001 - a third-party store
        problem = f"{panel_settings.STORE['BACKEND']} does not say why: {error}"
    if problem is not None:
        yield checks.Warning(f"No trace can be kept: {problem}", hint=hint, id="dbroute_panel.W001")


def _build_store() -> Store:
    return build(panel_settings.STORE["BACKEND"], panel_settings.STORE["OPTIONS"])


def check_telemetry() -> Iterator[checks.CheckMessage]:
    """Yield a warning if traces are to be sent, but OpenTelemetry is not installed."""
    if panel_settings.OTLP_ENDPOINT is not None and not is_installed():
        yield checks.Warning(
            "No trace can be sent to DBROUTE_PANEL['OTLP_ENDPOINT']: OpenTelemetry is not installed.",
            hint=f"Run: pip install '{EXTRA}'",
            id="dbroute_panel.W002",
        )


ROUTING_TAG = "dbroute"

MESSAGE_CLASSES = {Level.INFO: checks.Info, Level.WARNING: checks.Warning, Level.ERROR: checks.Error}


def check_routing(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Return the static findings if they were asked for, because asking the routers can have effects."""
    if not _is_asked_for(sys._getframe(1)):
        return []
    return [
        MESSAGE_CLASSES[finding.level](
            finding.message, hint=None, obj=finding.subject, id=f"dbroute_panel.{finding.code}"
        )
        for finding in run_lints()
    ]


def _is_asked_for(runner: FrameType) -> bool:
    """
    Return whether ``CheckRegistry.run_checks()`` was given our tag, or the deployment checks.

    Django cannot register a check for a tag alone (one with ``deploy=True`` is left out of ``check --tag``),
    and does not tell a check why it is run, so this reads the arguments of the runner.
    """
    arguments = runner.f_locals
    return ROUTING_TAG in (arguments.get("tags") or ()) or bool(arguments.get("include_deployment_checks"))
