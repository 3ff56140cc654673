"""Run Django's command with dbroute_panel among the apps: ``python -m dbroute_watched.manage test ...``."""

from __future__ import annotations

import sys

from django.core.management import execute_from_command_line

from .app import prepare

if __name__ == "__main__":
    prepare()
    execute_from_command_line(sys.argv)
