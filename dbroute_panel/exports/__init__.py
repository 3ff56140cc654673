"""In which formats can traces leave? A new one is a module with a ``FORMAT``, and its name below."""

from __future__ import annotations

from typing import Final

from dbroute_panel.exports import chrome, csv, html, json, ndjson, otlp
from dbroute_panel.exports.base import Format

__all__ = ["FORMATS", "Format"]

FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT for module in (json, ndjson, csv, html, chrome, otlp)
}
