"""
Compare two traces: what was routed differently.

``build_comparison()`` takes what belongs together (``matching.py``), says of each in which way it differs,
and puts the numbers of both traces side by side. Differences are exact; nothing is weighed, nothing is
asked again.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec
from django.utils.translation import gettext as _

from dbroute_panel.records import Database, Finding, Level, Query, Trace

from . import formatting
from .index import Index, ShortNames
from .matching import MatchKind, Pair, Use, list_uses, match_uses
from .palette import Palette, Swatch
from .totals import DatabaseTotals, Totals, compute_totals


class Difference(enum.StrEnum):
    """How the two sides of a pair differ, the weightiest first; each pair has exactly one."""

    ELSEWHERE = "elsewhere"
    SHARES = "shares"
    REPLICA = "replica"
    FAILED = "failed"
    DECIDER = "decider"
    ONLY_A = "only_a"
    ONLY_B = "only_b"
    COUNT = "count"
    SAME = "same"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Uses of one side that went to one place, decided by one. ``event`` is the first of them."""

    place: str
    database: Swatch | None
    by: str
    count: int
    failed: int
    duration_us: float
    event: int


class ComparedRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    One pair: what it was, where in the code (on both sides, if they differ), and where it went.

    ``model`` is that of a query; the question that a decision was has it in ``what``.
    """

    what: str
    model: str
    where: tuple[str, ...]
    matched: MatchKind
    a: tuple[Destination, ...]
    b: tuple[Destination, ...]


class DatabasePair(msgspec.Struct, frozen=True, kw_only=True):
    """One database's numbers in A and in B."""

    database: Swatch
    a: DatabaseTotals
    b: DatabaseTotals


class FindingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How often a finding is in A and in B, and what it says where it is."""

    code: str
    level: Level
    message: str
    a: int
    b: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about two traces. ``findings`` are those whose number differs, the worst first."""

    rows: dict[Difference, tuple[ComparedRow, ...]]
    a: Totals
    b: Totals
    databases: tuple[DatabasePair, ...]
    findings: tuple[FindingCounts, ...]

    @property
    def identical(self) -> bool:
        """Whether all was routed the same, as often, and found the same."""
        return not self.findings and set(self.rows) <= {Difference.SAME}

    @property
    def missing(self) -> bool:
        """Whether a trace lacks events, so that what is only in one may have been in both."""
        return bool(self.a.dropped or self.b.dropped)


def build_comparison(a: Trace, b: Trace, site: Mapping[str, Database] | None = None) -> Comparison:
    """The comparison of ``a`` with ``b``; ``site`` as ``Palette`` wants it."""
    palette = Palette({**a.databases, **b.databases}, site)
    routers = ShortNames([*a.routers, *b.routers])
    rows: dict[Difference, list[ComparedRow]] = {}
    for pair in match_uses(list_uses(Index(a)), list_uses(Index(b))):
        rows.setdefault(find_difference(pair, palette), []).append(_build_row(pair, palette, routers))
    totals = compute_totals(a, palette), compute_totals(b, palette)
    return Comparison(
        rows={kind: tuple(rows[kind]) for kind in Difference if kind in rows},
        a=totals[0],
        b=totals[1],
        databases=_pair_databases(*totals, palette),
        findings=_count_findings(a.findings, b.findings),
    )


def find_difference(pair: Pair, palette: Palette) -> Difference:
    """Return how the sides of a pair differ. The order of its uses is not compared: replicas take turns."""
    if not pair.b:
        return Difference.ONLY_A
    if not pair.a:
        return Difference.ONLY_B

    def differ(key: Callable[[Use], object]) -> bool:
        a, b = Counter(map(key, pair.a)), Counter(map(key, pair.b))
        # Who ran it more often has more of everything: then it is about which there are.
        return a != b if len(pair.a) == len(pair.b) else set(a) != set(b)

    def group(use: Use) -> tuple[str, bool]:
        above = palette[use.place].replica_of if _names_database(use) else None
        return above or use.place, above is not None

    if differ(group):
        return Difference.ELSEWHERE
    if _proportions_differ(Counter(map(group, pair.a)), Counter(map(group, pair.b))):
        return Difference.SHARES
    if differ(lambda use: use.place):
        return Difference.REPLICA
    if _count_failed(pair.a) != _count_failed(pair.b):
        return Difference.FAILED
    if differ(lambda use: (use.place, use.by)):
        return Difference.DECIDER
    return Difference.SAME if len(pair.a) == len(pair.b) else Difference.COUNT


def _proportions_differ(a: Counter[tuple[str, bool]], b: Counter[tuple[str, bool]]) -> bool:
    """Return whether the proportions differ, computed in whole numbers."""
    return any(count * b.total() != b[group] * a.total() for group, count in a.items())


def _count_failed(side: Iterable[Use]) -> int:
    return sum(use.event.error is not None for use in side if isinstance(use.event, Query))


def _build_row(pair: Pair, palette: Palette, routers: ShortNames) -> ComparedRow:
    first = (pair.a or pair.b)[0]
    places = {formatting.place(side[0].event.callsite): None for side in (pair.a, pair.b) if side}
    return ComparedRow(
        what=first.what,
        model=first.event.model or "" if isinstance(first.event, Query) else "",
        where=tuple(place for place in places if place),
        matched=pair.matched,
        a=_build_destinations(pair.a, palette, routers),
        b=_build_destinations(pair.b, palette, routers),
    )


def _build_destinations(
    side: Iterable[Use], palette: Palette, routers: ShortNames
) -> tuple[Destination, ...]:
    groups: dict[tuple[str, tuple[str, str | None, str | None]], list[Use]] = {}
    for use in side:
        groups.setdefault((use.place, use.by), []).append(use)
    return tuple(
        Destination(
            place=place,
            database=palette[place] if _names_database(group[0]) else None,
            by=describe_decider(by, routers),
            count=len(group),
            failed=_count_failed(group),
            duration_us=sum(use.event.duration_us for use in group),
            event=group[0].event.id,
        )
        for (place, by), group in groups.items()
    )


def _names_database(use: Use) -> bool:
    event = use.event
    return isinstance(event, Query) or (event.action.names_alias and isinstance(event.answer, str))


def describe_decider(by: tuple[str, str | None, str | None], routers: ShortNames) -> str:
    """Describe who decided without naming an object: another key is not another reason."""
    kind, router, model = by
    if model is not None:
        return _("an answer about %(model)s") % {"model": model}
    if router is not None:
        return routers(router)
    return {
        "router": _("a router"),
        "instance": _("the instance's database"),
        "default": _("default, no router had an opinion"),
        "explicit": _("named in code"),
        "cursor": _("raw cursor"),
        "schema": _("schema editor"),
        "peers": _("with its peers"),
        "same_database": _("_state.db compared, no router had an opinion"),
        "allowed": _("allowed, no router had an opinion"),
        "error": _("a router raised"),
    }[kind]


def _pair_databases(a: Totals, b: Totals, palette: Palette) -> tuple[DatabasePair, ...]:
    shares_a, shares_b = ({share.database.alias: share for share in totals.shares} for totals in (a, b))

    def share(shares: dict[str, DatabaseTotals], alias: str) -> DatabaseTotals:
        none = DatabaseTotals(database=palette[alias], queries=0, writes=0, duration_us=0)
        return shares.get(alias, none)

    return tuple(
        DatabasePair(database=palette[alias], a=share(shares_a, alias), b=share(shares_b, alias))
        for alias in palette.order({*shares_a, *shares_b})
    )


def _count_findings(a: list[Finding], b: list[Finding]) -> tuple[FindingCounts, ...]:
    """Count by code: messages name objects, and may differ where the finding does not."""
    counts = Counter(finding.code for finding in a), Counter(finding.code for finding in b)
    first = {finding.code: finding for finding in reversed([*a, *b])}
    found = [
        FindingCounts(code=code, level=one.level, message=one.message, a=counts[0][code], b=counts[1][code])
        for code, one in first.items()
        if counts[0][code] != counts[1][code]
    ]
    return tuple(sorted(found, key=lambda one: (-one.level.rank, one.code)))
