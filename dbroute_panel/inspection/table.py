"""The routing map as CSV: a pure function of the map."""

from __future__ import annotations

import csv
import io

from dbroute_panel.inspection.map import RoutingMap
from dbroute_panel.text import escape_formula


def dump_csv(routes: RoutingMap) -> str:
    """
    One model a row; several aliases in one cell are separated by spaces.

    The columns are not translated: ``model``, ``managed``, ``read``, ``write``, ``migrate:`` and each
    alias (``yes``, ``no``, or empty where asking raised), ``errors``. No cell is a formula.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = ["model", "managed", "read", "write", *(f"migrate:{a}" for a in routes.databases), "errors"]
    writer.writerow(map(_escape_cell, header))
    words = {True: "yes", False: "no", None: ""}
    for label, model in sorted(routes.models.items()):
        cells = [words[model.migrate.get(alias)] for alias in routes.databases]
        errors = "; ".join(f"{action}: {error}" for action, error in sorted(model.errors.items()))
        managed = "yes" if model.managed else "no"
        row = [label, managed, " ".join(model.read), " ".join(model.write), *cells, errors]
        writer.writerow(map(_escape_cell, row))
    return out.getvalue()


def _escape_cell(text: str) -> str:
    """Python's csv quotes no carriage return where lines end in a line feed; but readers end a row there."""
    return str(escape_formula(text)).replace("\r", "\\r")
