"""The project's settings for this package: ``panel_settings`` reads ``settings.DBROUTE_PANEL``."""

from __future__ import annotations

from dbroute_panel.conf.settings import DUMMY, SETTINGS, PanelSettings, all_mistakes, panel_settings, replicas
from dbroute_panel.conf.validators import Mistake, MistakeKind

__all__ = [
    "DUMMY",
    "SETTINGS",
    "Mistake",
    "MistakeKind",
    "PanelSettings",
    "all_mistakes",
    "panel_settings",
    "replicas",
]
