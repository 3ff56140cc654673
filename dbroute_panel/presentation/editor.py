"""Link lines of code to the editor that the setting ``EDITOR_URL`` names."""

from __future__ import annotations

from collections.abc import Iterable
from os.path import isfile
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import quote

from dbroute_panel.records import Callsite

SAFE_CHARACTERS: Final = "/:"
"""Not quoted: a colon follows a drive, and precedes the line."""


class Editor:
    """
    ``template`` has ``{file}`` and ``{line}``.

    A callsite's file may be relative to ``base``, or to one of the folders ``installed`` of libraries.
    """

    def __init__(self, template: str, base: str | None, installed: Iterable[str] = ()) -> None:
        self.template = template
        self.folders = [folder.replace("\\", "/").rstrip("/") for folder in (base, *installed) if folder]
        self.base = self.folders[0] if base else None
        self._known: dict[str, str] = {}

    @classmethod
    def from_setting(
        cls, template: str | None, base: str | None, installed: Iterable[str] = ()
    ) -> Editor | None:
        """Return None without a template: then nothing is a link."""
        return cls(template, base, installed) if template else None

    def url(self, site: Callsite) -> str:
        """Return the link that opens this line; "" for what is no file (``<console>``) or is not found."""
        file = self._absolute(site.file)
        return self.template.format(file=quote(file, safe=SAFE_CHARACTERS), line=site.line) if file else ""

    def _absolute(self, file: str) -> str:
        if not file or file.startswith("<"):
            return ""
        if PureWindowsPath(file).drive:
            return PureWindowsPath(file).as_posix()
        if PurePosixPath(file).is_absolute():
            return file
        if (known := self._known.get(file)) is None:
            paths = [f"{folder}/{file}" for folder in self.folders]
            elsewhere = f"{self.base}/{file}" if self.base else ""  # the trace is of another machine
            known = self._known[file] = next(filter(isfile, paths), elsewhere)
        return known
