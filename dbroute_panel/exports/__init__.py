"""The formats in which traces leave. A new one is a module with a ``Format``, and its entry below."""

from __future__ import annotations

from typing import Final

from dbroute_panel.exports import chrome, csv, html, json, otlp
from dbroute_panel.exports.base import Format

__all__ = ["FORMATS", "Format"]

FORMATS: Final[dict[str, Format]] = {
    known.name: known
    for known in (json.JSON, json.NDJSON, csv.FORMAT, html.FORMAT, chrome.FORMAT, otlp.FORMAT)
}
