"""
What is wrong with ``settings.DBROUTE_PANEL``, before it is noticed by a trace that is missing?

Cheap, and run with all checks: nothing here opens a database or asks a router. The numbers are
those of ``rules.Wrong``, one a kind of mistake; ``W001``: traces cannot be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from dbroute_panel.conf import panel_settings
from dbroute_panel.keys import all_mistakes
from dbroute_panel.rules import Mistake, Wrong
from dbroute_panel.stores import InvalidStoreError, build


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Every mistake in ``DBROUTE_PANEL``, as errors; and a store that cannot be written, as a warning."""
    mistakes = list(all_mistakes(getattr(settings, "DBROUTE_PANEL", {})))
    return [*map(as_error, mistakes), *check_store()]


def as_error(mistake: Mistake) -> checks.Error:
    return checks.Error(mistake.message, hint=mistake.hint, id=f"dbroute_panel.E{mistake.wrong:03}")


def check_store() -> Iterator[checks.CheckMessage]:
    """Of the store that will be used: a wrong shape of ``STORE`` is reported by its key's rule."""
    wanted = panel_settings.STORE
    try:
        problem = build(wanted["BACKEND"], wanted["OPTIONS"]).problem()
    except InvalidStoreError as error:
        yield as_error(Mistake(Wrong.STORE, f"DBROUTE_PANEL['STORE']: {error}", error.hint))
        return
    except Exception as error:  # noqa: BLE001 - a store of somebody else's
        problem = f"{wanted['BACKEND']} does not say why: {error}"
    if problem is not None:
        yield checks.Warning(
            f"No trace can be kept: {problem}",
            hint="Name a file that may be written in DBROUTE_PANEL['STORE']['OPTIONS']['path'].",
            id="dbroute_panel.W001",
        )
