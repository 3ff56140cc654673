"""``python -m dbroute_watched.manage test ...``: Django's command, and dbroute_panel among the apps."""

from __future__ import annotations

import sys

from django.core.management import execute_from_command_line

from .app import prepare

if __name__ == "__main__":
    prepare()
    execute_from_command_line(sys.argv)
