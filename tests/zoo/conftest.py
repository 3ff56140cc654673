"""Routers for one test, as in the tests of the recording; everything is recorded, values too."""

from __future__ import annotations

import pytest

from tests.recording.conftest import ask, fresh_complaints

__all__ = ["ask", "fresh_complaints"]


@pytest.fixture(autouse=True)
def debug(settings) -> None:
    settings.DEBUG = True
