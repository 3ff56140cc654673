"""Compare two runs of the same tests, test by test, and find the differences that are not announced."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from packaging.specifiers import SpecifierSet

from tools.watched.watching import APP, Run, WatchedTest

KINDS = ("decisions", "queries", "transactions")


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """
    A test that notices dbroute_panel, and why it may. ``django``: versions, ``variants``: the runs it is in.
    """

    id: str
    reason: str
    django: str = ""
    variants: tuple[str, ...] = ("recording", "app")

    def concerns(self, run: Run) -> bool:
        versions = SpecifierSet(self.django)
        return run.variant in self.variants and versions.contains(run.django, prereleases=True)


def read_noticed(file: Path, table: str = "test") -> list[Noticed]:
    """Return what a ``noticed.toml`` says in its tables of this name."""
    return msgspec.convert(tomllib.loads(file.read_text()).get(table, []), list[Noticed])


def tables(file: Path) -> set[str]:
    """Return the names of the tables in a ``noticed.toml``."""
    return set(tomllib.loads(file.read_text()))


def differences(
    bare: Run, watched: Run, expected: list[Noticed], kinds: tuple[str, ...] = KINDS
) -> Iterator[str]:
    """
    Yield a sentence for each difference that is not ``expected``, and each expected one that is missing.

    A run in which none of ``kinds`` was recorded is a difference, too.
    """
    reasons = {noticed.id: noticed.reason for noticed in expected if noticed.concerns(watched)}
    before, after = ({told.id: told for told in run.tests} for run in (bare, watched))
    for name in before.keys() ^ after.keys():
        yield f"{name} ran only {'without us' if name in before else 'with us'}"
    for name in before.keys() & after.keys():
        one, other = before[name], after[name]
        if name not in reasons:
            yield from _difference(one, other, watched.variant)
        elif one.outcome == other.outcome:
            yield f"{name} is announced in noticed.toml, but it is {other.outcome} with and without us"
        for complaint in other.complaints:
            yield f"{name}: we logged an error of ours: {complaint}"
    yield from _nothing(bare, watched, kinds)


def _nothing(bare: Run, watched: Run, kinds: tuple[str, ...]) -> Iterator[str]:
    """Yield what was missing in the comparison, so that it proves nothing."""
    if not bare.tests:
        yield "No test ran at all."
    for run in (bare, watched):
        if not any(told.heard.aliases for told in run.tests):
            yield f"No statement was heard ({run.variant}): nothing was compared."
    for kind in kinds:
        if not total(watched, kind):
            yield f"No {kind} were recorded in {len(watched.tests)} tests: it was not watched."


def _difference(one: WatchedTest, other: WatchedTest, variant: str) -> Iterator[str]:
    before, after = one.heard, other.heard
    if one.outcome != other.outcome:
        yield f"{one.id}: {one.outcome} without us, {other.outcome} with us\n{other.message or one.message}"
    elif before.aliases != after.aliases:
        yield f"{one.id}: other databases\n  without us {before.aliases}\n  with us    {after.aliases}"
    elif before.shapes != after.shapes:
        yield f"{one.id}: the same databases, but other SQL"
    elif before.statements != after.statements and variant != APP:
        # An installed app with a model has a content type and permissions: lists of keys are longer.
        yield f"{one.id}: the same databases and SQL, but lists of another length"


def total(run: Run, kind: str) -> int:
    """
    Return how many ``decisions``, ``queries``, ``transactions`` were recorded, or ``dropped``, in all tests.
    """
    return sum(getattr(told, kind) for told in run.tests)


def outcomes(run: Run) -> dict[str, int]:
    """Count the tests by outcome; ``setUpClass()`` counts only if it did not pass."""
    return Counter(
        told.outcome for told in run.tests if told.outcome != "passed" or not told.id.startswith("setUpClass")
    )
