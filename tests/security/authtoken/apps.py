from __future__ import annotations

from django.apps import AppConfig


class TokenConfig(AppConfig):
    name = "tests.security.authtoken"
    label = "authtoken"
