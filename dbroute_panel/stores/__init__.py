"""
The stores of finished traces.

``get_store()`` returns the store that ``DBROUTE_PANEL["STORE"]`` names; ``keep()`` saves to it from a
request, where a failure must cost nothing but the trace.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Mapping
from typing import Any

from django.utils.module_loading import import_string

from dbroute_panel.conf import SETTINGS, panel_settings
from dbroute_panel.masking.credentials import log_exception
from dbroute_panel.records import Trace
from dbroute_panel.stores.base import Filter, InvalidStoreError, Store, StoreError, Summary
from dbroute_panel.stores.database.store import DatabaseStore
from dbroute_panel.stores.memory import MemoryStore
from dbroute_panel.stores.sqlite import SQLiteStore
from dbroute_panel.suggestions import did_you_mean

__all__ = [
    "DatabaseStore",
    "Filter",
    "InvalidStoreError",
    "MemoryStore",
    "SQLiteStore",
    "Store",
    "StoreError",
    "Summary",
    "build",
    "get_store",
    "keep",
    "lost",
]

logger = logging.getLogger(__name__)

#: How many traces ``keep()`` could not save in this process. Read it as ``stores.lost``.
lost = 0

_lock = threading.RLock()
_current: tuple[Mapping[str, Any], Store] | None = None


def build(backend: str, options: Mapping[str, Any]) -> Store:
    """Return a store of the class with the dotted path ``backend``; raise ``InvalidStoreError``."""
    bundled = [f"{__name__}.{store.__name__}" for store in (SQLiteStore, MemoryStore, DatabaseStore)]
    try:
        store_class = import_string(backend)
    except Exception as error:  # importing runs a module of the project's
        message = f"The store {backend!r} cannot be imported: {error}"
        raise InvalidStoreError(message, did_you_mean(backend, bundled)) from error
    if not (isinstance(store_class, type) and issubclass(store_class, Store)):
        raise InvalidStoreError(f"{backend!r} is not a store.", did_you_mean(backend, bundled))
    parameters = inspect.signature(store_class).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for name in options:
            if name not in parameters:
                message = f"{store_class.__name__} has no option {name!r}."
                raise InvalidStoreError(message, did_you_mean(name, parameters))
    try:
        store: Store = store_class(**options)
    except InvalidStoreError:
        raise
    except Exception as error:  # a store of the project's may raise anything
        raise InvalidStoreError(f"{store_class.__name__} cannot be used: {error}") from error
    return store


def get_store() -> Store:
    """Return the configured store, the same object until the setting changes; the default if invalid."""
    global _current
    wanted = panel_settings.STORE
    current = _current
    if current is not None and current[0] is wanted:
        return current[1]
    with _lock:
        if _current is None or _current[0] != wanted:
            if _current is not None:
                _current[1].close()
            _current = (wanted, _build_or_default(wanted))
        else:  # the settings changed, this one did not: what a MemoryStore holds stays
            _current = (wanted, _current[1])
        return _current[1]


def _build_or_default(wanted: Mapping[str, Any]) -> Store:
    try:
        return build(wanted["BACKEND"], wanted["OPTIONS"])
    except InvalidStoreError as error:
        logger.error("%s %s The default store is used instead.", error, error.hint)
        default = SETTINGS["STORE"].default
        return build(default["BACKEND"], default["OPTIONS"])


def keep(trace: Trace) -> bool:
    """
    Save to the configured store and return whether that worked.

    A failure is counted in ``lost``, logged the first time, and never raised.
    """
    global lost
    try:
        get_store().save(trace)
    except Exception as error:  # noqa: BLE001 - the user's response is more important than our trace
        with _lock:
            lost += 1
            first = lost == 1
        if first:
            message = "A trace could not be kept: %s. Further losses are counted, not logged."
            log_exception(logger, logging.WARNING, message, error)
        return False
    return True
