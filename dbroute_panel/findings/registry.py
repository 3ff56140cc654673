"""Run the finding functions, those of this package and those of the project."""

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

MAX_FINDINGS: Final = 100
"""Maximum findings of one function in one trace: a function may be wrong about everything."""

MAX_EVENTS: Final = 50
"""Maximum events of one finding; its message says how many there were."""

_logged: set[str] = set()


def codes() -> frozenset[str]:
    """Return the codes that findings can have, those of the project's own functions included."""
    own = {code for function in panel_settings.FINDINGS if (code := getattr(function, "code", None))}
    return frozenset(REGISTRY) | own


def find(trace: Trace, *, redacted: bool = False) -> list[Finding]:
    """
    Return the findings of ``trace``, the worst first, without those in ``SILENCED_FINDINGS``.

    A function that fails is logged once per process and skipped; nothing is raised.

    Args:
        trace: Its own findings are not read.
        redacted: Leave keys out of the messages, and of errors all but the class.
    """
    silenced = panel_settings.SILENCED_FINDINGS
    facts = Facts(trace, redacted=redacted)
    found: list[Finding] = []
    functions: list[Callable[..., Any]] = [*REGISTRY.values(), *panel_settings.FINDINGS]
    for function in functions:
        if getattr(function, "code", None) not in silenced:
            found += _run(function, facts)
    return sorted((one for one in found if one.code not in silenced), key=_sort_key)


def _run(function: Callable[..., Any], facts: Facts) -> list[Finding]:
    try:
        return [_check_finding(found) for found in islice(function(facts), MAX_FINDINGS)]
    except Exception:  # the project's own functions may do anything, and the trace is worth more
        name = f"{function.__module__}.{getattr(function, '__qualname__', function)}"
        if name not in _logged:
            _logged.add(name)
            logger.exception("The finding function %s failed; its findings are left out.", name)
        return []


def _check_finding(found: Any) -> Finding:
    """Return a finding as it is stored. Raises ``TypeError`` for anything else, or one without a code."""
    if not isinstance(found, Finding) or not found.code:
        raise TypeError(f"A finding function yields findings that have a code, not {found!r}.")
    return msgspec.structs.replace(found, events=sorted(set(found.events))[:MAX_EVENTS])


def _sort_key(found: Finding) -> tuple[int, int]:
    return (-found.level.rank, found.events[0] if found.events else 0)
