"""The routing map as a table: for a terminal, or as CSV. Pure functions of the map."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from dbroute_panel.asking.map import ModelRoutes, RoutingMap


def text(routes: RoutingMap, marks: Mapping[str, Sequence[str]] | None = None) -> str:
    """
    Aligned columns: model, read, written, then one for each database ("yes": its table is there).

    ``marks`` (``map.marks()``) stand behind the models that have any. Below the table is what raised.
    """
    head = [_("Model"), _("Read from"), _("Written to"), *routes.databases]
    rows = [
        [_marked(label, (marks or {}).get(label, ())), *_lists(routes.models[label]), *cells]
        for label, cells in _tables(routes, yes=_("yes"), no="-", unknown="?")
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    raised = [
        _("%(model)s: %(action)s raised %(error)s")
        % {"model": label, "action": action, "error": " ".join(error.split())}
        for label in sorted(routes.models)
        for action, error in sorted(routes.models[label].errors.items())
    ]
    if raised:
        lines += ["", *raised]
    return "\n".join(lines) + "\n"


def as_csv(routes: RoutingMap) -> str:
    """
    One model a row; several aliases in one cell are separated by spaces.

    The columns are not translated: ``model``, ``managed``, ``read``, ``write``, ``migrate:`` and each
    alias (``yes``, ``no``, or empty where asking raised), ``errors``.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["model", "managed", "read", "write", *(f"migrate:{a}" for a in routes.databases), "errors"]
    )
    for label, cells in _tables(routes, yes="yes", no="no", unknown=""):
        model = routes.models[label]
        errors = "; ".join(f"{action}: {error}" for action, error in sorted(model.errors.items()))
        managed = "yes" if model.managed else "no"
        writer.writerow([label, managed, " ".join(model.read), " ".join(model.write), *cells, errors])
    return out.getvalue()


def _tables(routes: RoutingMap, *, yes: str, no: str, unknown: str) -> Iterator[tuple[str, list[str]]]:
    """(label, one cell for each database), sorted."""
    words = {True: yes, False: no, None: unknown}
    for label, model in sorted(routes.models.items()):
        yield label, [words[model.migrate.get(alias)] for alias in routes.databases]


def _lists(model: ModelRoutes) -> list[str]:
    return [", ".join(aliases) or pgettext("asking raised", "error") for aliases in (model.read, model.write)]


def _marked(label: str, marks: Sequence[str]) -> str:
    return f"{label} ({', '.join(marks)})" if marks else label
