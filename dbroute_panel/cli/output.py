"""Write a file atomically: afterwards it is complete, or as it was before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.utils.translation import gettext as _

from dbroute_panel.cli.subcommand import UsageError, join_lines, validate_choice
from dbroute_panel.exports import FORMATS, Format
from dbroute_panel.suggestions import did_you_mean


def parse_output(name: str | None) -> Path | None:
    """Return the path of ``--output``; None is the standard output. Raises ``UsageError``."""
    return None if name in (None, "-") else check_writable(str(name))


def check_writable(name: str) -> Path:
    """Return ``name`` as a path where a file can be written. Raises ``UsageError``."""
    path = Path(name).expanduser()
    if not name or path.is_dir():
        raise UsageError(_("%(name)r is no file.") % {"name": name})
    if not path.parent.is_dir():
        raise UsageError(
            _("%(name)s cannot be written: there is no folder %(folder)s.")
            % {"name": name, "folder": path.parent}
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(_("%(name)s cannot be written: permission denied.") % {"name": name})
    return path


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """
    Write ``pieces`` to ``path``; an error leaves the previous content. Raises ``UsageError``.

    A pipe or a device is written to directly.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                device.writelines(pieces)
            return
        target = path.resolve()
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_read_umask()
        descriptor, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(pieces)
            Path(new).chmod(mode)
            Path(new).replace(target)
        except BaseException:
            Path(new).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(
            _("%(path)s cannot be written: %(error)s.")
            % {"path": path, "error": join_lines(error.strerror or error)}
        ) from error


def find_format(name: str) -> Format:
    """Return the export format with this name. Raises ``UsageError``."""
    return FORMATS[validate_choice(name, FORMATS, _("export format"))]


def guess_format(path: Path) -> Format:
    """Return the export format for the extension of ``path``. Raises ``UsageError``."""
    extensions = {f".{known.extension}": known for known in FORMATS.values()}
    ends = [extension for extension in extensions if path.name.lower().endswith(extension)]
    if ends:  # of "json" and "trace.json" the longer
        return extensions[max(ends, key=len)]
    raise UsageError(
        _("No export format for a name like %(name)r. %(hint)s")
        % {"name": path.name, "hint": did_you_mean(path.suffix, extensions)}
    )


def _read_umask() -> int:
    """Return the umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
