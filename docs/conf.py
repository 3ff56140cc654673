"""
How the documentation is built: ``make docs``.

The pages are Markdown, which a code host shows as they are; the reference of the Python API is made from
docstrings.
"""

from __future__ import annotations

import os
from importlib.metadata import version as version_of

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "example_site.settings"
django.setup()

project = "dbroute_panel"
author = "dbroute_panel contributors"
version = release = version_of("dbroute-panel")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # Of other projects, or of type variables: nothing to link to.
    ("py:.*", r"(django|msgspec|collections|os|pathlib|contextlib|typing|enum)\..*"),
]

myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = f"dbroute_panel {version}"
html_show_copyright = False

pygments_style = "friendly"
pygments_dark_style = "monokai"
