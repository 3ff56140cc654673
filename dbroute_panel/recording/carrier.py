"""
The carrier string: how a query finds the decision that sent it to its alias.

``db_for_read`` and ``db_for_write`` hand back the alias as a ``Carrier``, a ``str`` that also
carries the id of the trace and of the decision. Django passes it along untouched: into
``compiler.using`` and into ``instance._state.db``. So a query knows its decision exactly, even
when the same alias was answered, named or copied in between. It equals, hashes, prints and
formats as the plain alias, and becomes a plain ``str`` when it is pickled or copied. It holds
ids and a place in the code only: a decision, hint or model here would make a cycle through
``instance._state.db``.
"""

from __future__ import annotations

from types import CodeType
from typing import Any, Final

from dbroute_panel.recording.sites import Site

Asked = tuple[int, CodeType | None, int, int | None, Site | None, str]
"""
A decision that was made: the ``id()`` and the code of the frame that asked, the decision's id, what that was
asked inside of, its site, and the id of the trace. The frame itself is not kept: it would keep alive
whatever it knows. The ``id()`` is no frame's where a query of the same frame may have another site.
"""

NOBODY: Final[Asked] = (0, None, 0, None, None, "")


class Carrier(str):
    """An alias that remembers which decision of which trace it is the answer of."""

    __slots__ = ("asked",)

    asked: Asked

    def __reduce_ex__(self, protocol: Any) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def __copy__(self) -> str:
        return str(self)

    def __deepcopy__(self, memo: Any) -> str:
        return str(self)


def carry(alias: str, asked: Asked) -> Carrier:
    """The alias as the answer of a decision."""
    carrier = Carrier(alias)
    carrier.asked = asked
    return carrier


def decision_behind(alias: object, trace: str) -> int | None:
    """The id of the decision of ``trace`` that answered ``alias``, or None if code named it."""
    return alias.asked[2] if type(alias) is Carrier and alias.asked[5] == trace else None
