"""
``python -m dbroute_settings.simple_history test ...``: Django's command with what django-simple-history's
``runtests.py`` configures. One of its tests deletes a setting, which only ``settings.configure()`` lets it.
"""

from __future__ import annotations

import sys

from dbroute_watched.app import prepare
from django.conf import settings
from django.core.management import execute_from_command_line
from runtests import get_default_settings

if __name__ == "__main__":
    prepare()
    settings.configure(**get_default_settings())
    execute_from_command_line(sys.argv)
