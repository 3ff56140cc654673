"""The struct of an export format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from dbroute_panel.records import Trace


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """
    One export format.

    ``write`` takes traces one at a time and yields the file in pieces, so that neither is ever
    whole in memory. ``extension`` is that of its files, without the first dot; no two formats have the
    same, but one may end with another's (``json``, ``trace.json``). ``purpose`` is its use in a few
    words. Traces are redacted before they are exported.
    """

    name: str
    label: str
    purpose: Any
    content_type: str
    extension: str
    write: Callable[[Iterable[Trace]], Iterator[bytes]]
