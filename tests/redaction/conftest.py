"""Redaction resolves paths: like the site's, whose URLs are loaded once, with ``DEBUG`` on."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def debugging(settings) -> None:
    settings.DEBUG = True
