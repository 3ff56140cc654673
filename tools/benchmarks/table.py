"""
Two tables, for a terminal and for docs/performance.md: the variants, and the figures with their targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tools.benchmarks.figures import FIGURES, REFERENCE, Figure
from tools.benchmarks.measuring import Results, Series
from tools.benchmarks.variants import SIDE_BY_SIDE

Rows = list[list[str]]


def number(value: float) -> str:
    """Format a number with three significant digits, and no more decimals than are meaningful."""
    if value != value or abs(value) == float("inf"):
        return "-"
    for least, digits in ((100, 0), (10, 1)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.2f}"


def spread(found: Series) -> str:
    return f"{number(found.least)} - {number(found.most)}"


def variants(results: Results, sizes: Iterable[int]) -> Rows:
    """Return what each variant adds to a query; some have a second row, with the work after the answer."""
    sizes = [*sizes]
    rows = [["CPU added, us a query", *(f"{size:,}" for size in sizes), "min - max", "x Django"]]
    bare = results[f"requests/bare/{REFERENCE}/total"]
    middles = (number(results[f"requests/bare/{size}/total"].median) for size in sizes)
    rows.append(["Django alone (its own)", *middles, spread(bare), "1.00"])
    for variant in SIDE_BY_SIDE[1:]:
        after = results[f"requests/{variant.name}/{REFERENCE}/after"]
        parts = {"total": variant.title}
        if after.median > 5:
            parts = {"request": f"{variant.title}, until the answer", "total": f"{variant.title}, to the end"}
        for part, title in parts.items():
            added = [results.added(variant.name, size, part) for size in sizes]
            reference = results.added(variant.name, REFERENCE, part)
            whole = results[f"requests/{variant.name}/{REFERENCE}/{part}"].over(bare)
            rows.append(
                [title, *(number(one.median) for one in added), spread(reference), f"{whole.median:.2f}"]
            )
    return rows


def figures(results: Results, of: Sequence[Figure] = FIGURES) -> Rows:
    """Return each figure with its target and whether it is met; each section has a head row."""
    rows, section = [["", "", "median", "min - max", "target", ""]], ""
    for figure in of:
        if figure.section != section:
            section = figure.section
            rows.append([section, *[""] * 5])
        found = figure.read(results)
        target = "at most" if figure.most is not None else "at least"
        bound = figure.least if figure.most is None else figure.most
        rows.append(
            [
                figure.title,
                figure.unit,
                number(found.median),
                spread(found),
                "" if bound is None else f"{target} {bound:,g}",
                {None: "", True: "met", False: "MISSED"}[figure.met(found)],
            ]
        )
    return rows


def missed(results: Results, of: Sequence[Figure] = FIGURES) -> list[str]:
    """Return the titles of the figures that miss their target."""
    return [figure.title for figure in of if figure.met(figure.read(results)) is False]


def busy(results: Results) -> str | None:
    """Return a warning if Django alone was not equally fast in all rounds: the machine was busy."""
    bare = results[f"requests/bare/{REFERENCE}/total"]
    if bare.most < bare.least * 1.25:
        return None
    return f"Django alone took {spread(bare)} us a query: measure again when nothing else runs here."


def text(rows: Rows) -> str:
    """Align the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def markdown(rows: Rows) -> str:
    head, *body = rows
    sides = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, sides, *body])
