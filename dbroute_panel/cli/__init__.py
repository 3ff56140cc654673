"""The subcommands of ``manage.py dbroute``. A new one is a module with a ``SUBCOMMAND``, listed below."""

from __future__ import annotations

from typing import Final

from dbroute_panel.cli import explain, export, imports, lint, maps, prune, replay, run, show, traces
from dbroute_panel.cli.subcommand import Subcommand

__all__ = ["SUBCOMMANDS", "Subcommand"]

SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    module.SUBCOMMAND.name: module.SUBCOMMAND
    for module in (explain, maps, lint, run, traces, show, export, imports, replay, prune)
}
