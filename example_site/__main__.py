"""This project's ``manage.py``: ``python -m example_site runserver``."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_site.settings")
    execute_from_command_line(["python -m example_site", *sys.argv[1:]])


if __name__ == "__main__":
    main()
