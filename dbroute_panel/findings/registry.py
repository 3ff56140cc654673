"""Which findings are there, and which of them does this trace have?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import msgspec

from dbroute_panel.conf import panel_settings
from dbroute_panel.records import Finding, Trace

from . import elsewhere, queries, replicas, routing, writes
from .facts import Facts, FindingFunction

logger = logging.getLogger("dbroute_panel")

REGISTRY: Final[dict[str, FindingFunction]] = {
    function.code: function
    for family in (writes, replicas, routing, queries, elsewhere)
    for function in vars(family).values()
    if isinstance(function, FindingFunction)
}
"""The finding functions of this package by code: every one that a family's module defines."""

MOST_FINDINGS: Final = 100
"""Of one function in one trace: a person reads no more, and a function may be wrong about everything."""

MOST_EVENTS: Final = 50
"""Of one finding; its message says how many there were."""

_complaints: set[str] = set()


def codes() -> frozenset[str]:
    """The codes that findings in a trace can have, those of the project's own functions included."""
    own = {code for function in panel_settings.FINDINGS if (code := getattr(function, "code", None))}
    return frozenset(REGISTRY) | own


def find(trace: Trace, *, redacted: bool = False) -> list[Finding]:
    """
    The findings of ``trace``, the worst first; those in ``SILENCED_FINDINGS`` are left out.

    ``redacted``: their messages have no keys, and of errors the class alone. A function that fails is
    logged once per process and skipped; nothing is raised.
    """
    silenced = panel_settings.SILENCED_FINDINGS
    facts = Facts(trace, redacted=redacted)
    found: list[Finding] = []
    functions: list[Callable[..., Any]] = [*REGISTRY.values(), *panel_settings.FINDINGS]
    for function in functions:
        if getattr(function, "code", None) not in silenced:
            found += _found_by(function, facts)
    return sorted((one for one in found if one.code not in silenced), key=_worst_first)


def _found_by(function: Callable[..., Any], facts: Facts) -> list[Finding]:
    try:
        return [_complete(found) for found in islice(function(facts), MOST_FINDINGS)]
    except Exception:  # the project's own functions may do anything, and the trace is worth more
        name = f"{function.__module__}.{getattr(function, '__qualname__', function)}"
        if name not in _complaints:
            _complaints.add(name)
            logger.exception("The finding function %s failed; its findings are left out.", name)
        return []


def _complete(found: Any) -> Finding:
    """A finding as it is stored. Raises ``TypeError`` for anything else, or one without a code."""
    if not isinstance(found, Finding) or not found.code:
        raise TypeError(f"A finding function yields findings that have a code, not {found!r}.")
    return msgspec.structs.replace(found, events=sorted(set(found.events))[:MOST_EVENTS])


def _worst_first(found: Finding) -> tuple[int, int]:
    return (-found.level.rank, found.events[0] if found.events else 0)
