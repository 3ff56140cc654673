"""
The least that a tool of this kind can cost: two execute wrappers, which a middleware puts around a view.

One appends a tuple. The other keeps a record like that of a query: it finds the user's line and the model,
and knows nothing of routers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import django
import msgspec
from django.db import connections

DJANGO = str(Path(django.__file__).parent)
OURS = str(Path(__file__).parents[2] / "dbroute_panel")
COMPILER = f"{DJANGO}/db/models/sql/compiler.py"
Wrapper = Callable[..., Any]


class Record(msgspec.Struct, gc=False):
    id: int
    start: int
    end: int
    alias: str
    vendor: str
    sql: str
    params: tuple[Any, ...]
    many: bool
    model: str | None
    atomic: bool
    rowcount: int
    error: str | None
    file: str
    line: int
    function: str


def _around(wrapper_of: Callable[[list[Any]], Wrapper]) -> Callable[..., Any]:
    def middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def respond(request: Any) -> Any:
            with ExitStack() as stack:
                wrapper = wrapper_of([])
                for connection in connections.all():
                    stack.enter_context(connection.execute_wrapper(wrapper))
                return get_response(request)

        return respond

    return middleware


def appending(kept: list[Any]) -> Wrapper:
    def wrapper(execute: Wrapper, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        start = perf_counter_ns()
        try:
            return execute(sql, params, many, context)
        finally:
            kept.append((context["connection"].alias, sql, start, perf_counter_ns()))

    return wrapper


def keeping(kept: list[Any]) -> Wrapper:
    framework: dict[str, bool] = {}

    def wrapper(execute: Wrapper, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        connection, model, error = context["connection"], None, None
        frame: Any = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if (inside := framework.get(file)) is None:
                inside = framework[file] = file.startswith((DJANGO, OURS))
            if not inside:
                break
            if model is None and file == COMPILER and frame.f_code.co_name == "execute_sql":
                model = frame.f_locals["self"].query.model._meta.label
            frame = frame.f_back
        start = perf_counter_ns()
        try:
            return execute(sql, params, many, context)
        except Exception as raised:
            error = type(raised).__name__
            raise
        finally:
            kept.append(
                Record(
                    len(kept),
                    start,
                    perf_counter_ns(),
                    connection.alias,
                    connection.vendor,
                    sql,
                    params,
                    many,
                    model,
                    connection.in_atomic_block,
                    context["cursor"].rowcount,
                    error,
                    frame.f_code.co_filename,
                    frame.f_lineno,
                    frame.f_code.co_name,
                )
            )

    return wrapper


appends_a_tuple = _around(appending)
keeps_a_record = _around(keeping)
