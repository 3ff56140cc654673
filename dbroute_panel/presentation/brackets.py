"""
Brackets under a lane of the timeline: when transactions were open, and savepoints below them.

A savepoint that was rolled back stays open until it is released or its transaction ends, as in SQL. What
begins and ends in one column is one bracket, however much of it there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.records import Operation, Transaction

if TYPE_CHECKING:
    from .timeline import Columns

MAX_LEVELS: Final = 3
"""The transaction and two savepoints below it; deeper savepoints share the last level."""


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``count`` transactions (``level`` 0) or savepoints, ``rolled_back`` of them, over ``width`` columns.

    Without ``opened`` it was open before the trace, without ``ended`` it still is after it.
    """

    level: int
    x: int
    width: int
    ends: tuple[int, int]
    count: int = 1
    rolled_back: int = 0
    opened: bool = True
    ended: bool = True

    @property
    def line(self) -> str:
        """The SVG path: ``╞══╡``, its end crossed where everything in it was rolled back."""
        y, left, right = 2 + 4 * self.level, self.x + 0.1, self.x + self.width - 0.1
        end = f"M{right - 0.2:.1f} {y - 2}l.4 4m0-4l-.4 4" if self.crossed else f"M{right:.1f} {y - 2}v4"
        begin = f"M{left:.1f} {y - 2}v4"
        return f"{begin if self.opened else ''}M{left:.1f} {y}H{right:.1f}{end if self.ended else ''}"

    @property
    def crossed(self) -> bool:
        return self.rolled_back == self.count

    @property
    def label(self) -> str:
        """``3 transactions, 1 rolled back``."""
        if self.level:
            what = ngettext("%(n)d savepoint", "%(n)d savepoints", self.count)
        else:
            what = ngettext("%(n)d transaction", "%(n)d transactions", self.count)
        parts = [what % {"n": self.count}]
        if self.crossed:
            parts.append(_("rolled back"))
        elif self.rolled_back:
            parts.append(_("%(n)d rolled back") % {"n": self.rolled_back})
        if not self.opened:
            parts.append(_("open before the trace"))
        if not self.ended:
            parts.append(_("open at its end"))
        return ", ".join(parts)


class _OpenBlock(msgspec.Struct):
    """A transaction or savepoint that is open. ``at_us``: None for one from before the trace."""

    level: int
    at_us: int | None
    rolled_back: bool = False


class BracketBuilder:
    """The brackets of one database."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._open: dict[
            int | None, list[_OpenBlock]
        ] = {}  # by the transaction's number, the outermost first
        self._brackets: dict[tuple[int, int], Bracket] = {}  # by level and first column

    def add(self, event: Transaction) -> None:
        number = event.transaction_number
        if event.operation is Operation.BEGIN:
            self._open[number] = [_OpenBlock(0, event.at_us)]
            return
        stack = self._open.setdefault(number, [_OpenBlock(0, None)])
        if event.operation is Operation.SAVEPOINT:
            stack.append(_OpenBlock(len(stack), event.at_us))
        elif event.operation is Operation.SAVEPOINT_ROLLBACK:
            stack[-1].rolled_back = len(stack) > 1
        elif event.operation is Operation.SAVEPOINT_COMMIT:
            if len(stack) > 1:
                self._close(stack.pop(), event.at_us)
        else:
            stack[0].rolled_back = event.operation is Operation.ROLLBACK
            self._end(number, event.at_us)

    def _end(self, number: int | None, at_us: int | None) -> None:
        """Close a transaction and its savepoints; a rollback is theirs, too."""
        stack = self._open.pop(number)
        for block in stack:
            block.rolled_back |= stack[0].rolled_back
            self._close(block, at_us)

    def _close(self, block: _OpenBlock, at_us: int | None) -> None:
        columns, level = self.columns, min(block.level, MAX_LEVELS - 1)
        begin = block.at_us or 0
        end = columns.end_us if at_us is None else at_us
        first, last = columns.at(begin), columns.at(end)
        bracket = Bracket(
            level=level,
            x=first,
            width=last + 1 - first,
            ends=(begin, end),
            rolled_back=int(block.rolled_back),
            opened=block.at_us is not None,
            ended=at_us is not None,
        )
        known = self._brackets.get((level, first))
        self._brackets[level, first] = bracket if known is None else _merge(known, bracket)

    def build(self) -> tuple[Bracket, ...]:
        """Return all brackets; those that are still open last until the trace's end."""
        for number in list(self._open):
            self._end(number, None)
        return tuple(self._brackets[key] for key in sorted(self._brackets))


def _merge(first: Bracket, second: Bracket) -> Bracket:
    """Merge two brackets that begin in the same column."""
    return Bracket(
        level=first.level,
        x=first.x,
        width=max(first.width, second.width),
        ends=(min(first.ends[0], second.ends[0]), max(first.ends[1], second.ends[1])),
        count=first.count + second.count,
        rolled_back=first.rolled_back + second.rolled_back,
        opened=first.opened and second.opened,
        ended=first.ended and second.ended,
    )
