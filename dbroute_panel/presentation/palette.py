"""
Give each database a colour.

Colours are CSS classes, ``dbroute-db-0`` to ``dbroute-db-7`` in colours.css, given to the primaries in
order of ``DATABASES``; a replica has its primary's class and ``dbroute-db-replica``. So no page needs an
inline style, and no record holds a colour.

A trace may come from another project, or from before a database was added. So the pages of a site give its
own databases their colours first: there an alias has one colour, whatever trace it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from dbroute_panel.records import Database

COLOUR_COUNT: Final = 8


class Swatch(msgspec.Struct, frozen=True, kw_only=True):
    """A database as a page shows it: name, CSS classes, and what it is a replica of (or None)."""

    alias: str
    css: str
    replica_of: str | None = None
    vendor: str = ""
    known: bool = True


class Palette:
    """The swatch of every alias. One that is not configured is hatched."""

    def __init__(self, databases: Mapping[str, Database], site: Mapping[str, Database] | None = None) -> None:
        """``databases`` are those of a trace, ``site`` those of the site that shows it."""
        site = site or {}
        self._swatches: dict[str, Swatch] = {}
        numbers: dict[str, int] = {}
        roots: dict[str, str] = {}
        for known in (site, databases):
            roots = {alias: _find_primary(alias, known) for alias in known}
            for alias in known:
                if roots[alias] == alias:
                    numbers.setdefault(alias, len(numbers) % COLOUR_COUNT)
        for alias in {**site, **databases}:
            database = databases.get(alias)
            if database is None:  # the trace's project has none of this name
                continue
            replica = roots[alias] != alias
            css = f"dbroute-db-{numbers[roots[alias]]}" + (" dbroute-db-replica" if replica else "")
            self._swatches[alias] = Swatch(
                alias=alias, css=css, replica_of=database.replica_of, vendor=database.vendor
            )

    def __getitem__(self, alias: str) -> Swatch:
        swatch = self._swatches.get(alias)
        if swatch is None:
            swatch = Swatch(alias=alias, css="dbroute-db-unknown", known=False)
        return swatch

    def order(self, aliases: set[str]) -> list[str]:
        """``aliases`` in order of ``DATABASES``, the unknown ones last."""
        places = {alias: place for place, alias in enumerate(self._swatches)}
        return sorted(aliases, key=lambda alias: (places.get(alias, len(places)), alias))


def _find_primary(alias: str, databases: Mapping[str, Database]) -> str:
    """Follow ``replica_of`` to its end; return ``alias`` if the chain leads nowhere or round."""
    seen, here = {alias}, alias
    while (above := databases[here].replica_of) is not None and above in databases:
        if above in seen:
            return alias
        seen.add(above)
        here = above
    return here
