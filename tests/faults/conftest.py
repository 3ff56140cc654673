"""A site behind the middleware, whose store can be broken."""

from __future__ import annotations

import logging

import pytest
from django.test import Client

from dbroute_panel import stores
from tests.recording.conftest import ask, fresh_complaints

__all__ = ["ask", "fresh_complaints"]


@pytest.fixture
def client(site, store, settings, monkeypatch, caplog):
    """Gets pages of the site, each of them recorded."""
    settings.ROOT_URLCONF = "tests.recording.urls"
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    monkeypatch.setattr(stores, "lost", 0)
    caplog.set_level(logging.WARNING, "dbroute_panel")
    return Client()
