"""
The template engines stay when a test turns ``DEBUG`` on or off, and with them the compiled templates.

Each test of a page turns it on, and Django's test signals then forget all engines, which depend on it: to
compile the templates anew took a sixth of such a test. Here there is one set of engines for each of the two.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.forms.renderers import get_default_renderer
from django.template import engines
from django.template.engine import Engine
from django.test.signals import reset_template_engines


class KeptEngines:
    """Put in the place of Django's receiver, which does the rest: another ``TEMPLATES``, other apps."""

    def __init__(self) -> None:
        self.debug = settings.DEBUG
        self.kept: dict[bool, dict[str, Any]] = {}
        setting_changed.disconnect(reset_template_engines)
        setting_changed.connect(self.changed)

    def changed(self, *, setting: str, **kwargs: Any) -> None:
        if setting != "DEBUG":
            if setting in ("TEMPLATES", "INSTALLED_APPS"):
                self.kept.clear()
            reset_template_engines(setting=setting, **kwargs)
        elif self.debug is not settings.DEBUG:
            self.kept[self.debug] = engines._engines
            self.debug = settings.DEBUG
            engines._engines = self.kept.get(self.debug, {})
            Engine.get_default.cache_clear()
            get_default_renderer.cache_clear()
