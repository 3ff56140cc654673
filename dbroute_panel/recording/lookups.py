"""
Find the decision that gave a raw cursor its connection, by ``connections[db]`` in the code that uses it.

That a function has an answer of the routers is not enough: it may look up a connection of the same alias in
another way. So every use of ``connections`` in its code has to be the subscript of a variable or of a
constant, and just one answer among the variables may lead to the alias. Else no decision is told.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections

_HANDLER: Final = "connections"
"""How the handler is called as an attribute, in ``django.db.connections[db]``."""

_SILENT: Final = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "RESUME"})


class _Load(NamedTuple):
    """What an instruction puts on the stack. ``kind``: "name", "attribute", "constant" or "subscript"."""

    kind: str
    value: Any


class _Lookups(NamedTuple):
    """``loads``: the names and attributes that code reads; ``pairs``: of what its subscripts are, by what."""

    loads: tuple[_Load, ...]
    pairs: tuple[tuple[_Load, _Load], ...]


def find_lookup_decision(frame: FrameType | None, alias: object, answers: dict[int, int]) -> int | None:
    """
    Return the decision whose answer led the code in ``frame``, which uses a raw cursor, to ``alias``.

    That is how Django's database cache does it: ``connections[router.db_for_read(...)]``.
    """
    if frame is None or not answers:
        return None
    names: dict[str, Any] = frame.f_locals
    if not any(id(value) in answers and value == alias for value in list(names.values())):
        return None
    names = {**frame.f_globals, **names}
    lookups = _find_lookups(frame.f_code)
    if alias == DEFAULT_DB_ALIAS and any(_leads_to(load, names, connection) for load in lookups.loads):
        return None
    pairs = [(of, by) for of, by in lookups.pairs if _leads_to(of, names, connections)]
    if len(pairs) != sum(_leads_to(load, names, connections) for load in lookups.loads):
        return None
    # A variable that has no value yet has looked up nothing yet.
    keys = [
        names[by.value] if by.kind == "name" else by.value
        for _, by in pairs
        if by.kind != "name" or by.value in names
    ]
    # What else than a string is equal to the alias is for its own code to say, which is not asked.
    found = {answers.get(id(key)) for key in keys if type(key) is not str or key == alias}
    return found.pop() if len(found) == 1 else None


def _leads_to(load: _Load, names: dict[str, Any], wanted: object) -> bool:
    if load.kind == "name":
        return names.get(load.value) is wanted
    return wanted is connections and load == ("attribute", _HANDLER)


@lru_cache(maxsize=500)
def _find_lookups(code: CodeType) -> _Lookups:
    loads: list[_Load] = []
    pairs = []
    latest = [_Load("", None), _Load("", None)]
    for instruction in dis.get_instructions(code):
        for load in _iter_loads(instruction):
            if load.kind in ("name", "attribute"):
                loads.append(load)
            elif load.kind == "subscript" and latest[-1].kind in ("name", "constant"):
                pairs.append((latest[-2], latest[-1]))
            latest = [latest[-1], load]
    return _Lookups(tuple(loads), tuple(pairs))


def _iter_loads(instruction: dis.Instruction) -> Iterator[_Load]:
    """Yield what it loads. Since Python 3.13 one may load two variables, or keep one and load another."""
    name, value = instruction.opname, instruction.argval
    if name in _SILENT:
        return
    if name == "BINARY_SUBSCR" or (name == "BINARY_OP" and instruction.argrepr == "[]"):
        yield _Load("subscript", None)
    elif name in ("LOAD_ATTR", "LOAD_METHOD"):
        yield _Load("attribute", value)
    elif name == "LOAD_CONST":
        yield _Load("constant", value)
    elif name.startswith(("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_CLASSDEREF")):
        yield from (_Load("name", each) for each in (value if type(value) is tuple else (value,)))
    elif name.startswith("STORE_FAST") and "LOAD_FAST" in name:
        yield _Load("name", value[-1])
    else:
        yield _Load("", None)
