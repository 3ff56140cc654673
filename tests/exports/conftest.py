from __future__ import annotations

import pytest

from dbroute_panel.management.commands.dbroute import Command


@pytest.fixture
def dbroute_parser():
    return Command().create_parser("manage.py", "dbroute")
