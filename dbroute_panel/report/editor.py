"""Where is a line of code opened? In the editor that the setting ``EDITOR_URL`` names."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import quote

from dbroute_panel.records import Callsite

SAFE: Final = "/:"
"""A colon stands behind a drive, and before the line; whatever else means something in a URL is quoted."""


class Editor:
    """``template`` has ``{file}`` and ``{line}``; a callsite's file may be relative to ``base``."""

    def __init__(self, template: str, base: str | None) -> None:
        self.template = template
        self.base = base

    @classmethod
    def of(cls, template: str | None, base: str | None) -> Editor | None:
        """None without a template: then nothing is a link."""
        return cls(template, base) if template else None

    def url(self, site: Callsite) -> str:
        """The link that opens this line; "" for what is no file (``<console>``), or nobody knows where."""
        file = self._absolute(site.file)
        return self.template.format(file=quote(file, safe=SAFE), line=site.line) if file else ""

    def _absolute(self, file: str) -> str:
        if not file or file.startswith("<"):
            return ""
        if PureWindowsPath(file).drive:
            return PureWindowsPath(file).as_posix()
        if PurePosixPath(file).is_absolute():
            return file
        return f"{self.base.replace(chr(92), '/').rstrip('/')}/{file}" if self.base else ""
