from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "example_site.core"
