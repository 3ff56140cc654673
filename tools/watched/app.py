"""Prepare a library's project to run without dbroute_panel, or with it among its apps."""

from __future__ import annotations

from typing import Any

import django

from .around import TESTS
from .watching import APP, read_order


def prepare() -> None:
    """
    Let ``django.setup()`` find dbroute_panel among the apps, with a store in a file, if this process shall.

    This comes after the library's settings, whether they are a module or ``settings.configure()``. Passwords
    are hashed fast in either run: a slow hash would take most of the time of some libraries' tests.
    """
    original = django.setup

    def setup(*args: Any, **kwargs: Any) -> None:
        from django.conf import settings

        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        if read_order().variant == APP:
            _add_app(settings)
        original(*args, **kwargs)

    django.setup = setup


def _add_app(settings: Any) -> None:
    if "dbroute_panel" in settings.INSTALLED_APPS:
        return
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "dbroute_panel"]
    settings.DBROUTE_PANEL = {
        "RECORD_PARAMS": True,
        "STORE": {
            "BACKEND": "dbroute_panel.stores.SQLiteStore",
            "OPTIONS": {"path": str(read_order().file("sqlite3"))},
        },
    }
    _leave_out_our_types()


def _leave_out_our_types() -> None:
    """
    Do not listen while Django makes the content types and permissions of dbroute_panel.

    Django does so for each app with a model after each ``flush``, which ends each ``TransactionTestCase``.
    """
    from django.db.models.signals import post_migrate

    original = post_migrate.send

    def send(sender: Any, **named: Any) -> Any:
        if getattr(sender, "name", None) != "dbroute_panel":
            return original(sender, **named)
        with TESTS.listener.ignoring():
            return original(sender, **named)

    post_migrate.send = send
