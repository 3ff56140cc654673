"""
Watching the three places where Django refuses what does not fit to the database, also where that is caught.

The methods are wrapped, on their classes, only to see the exception go by. A lock is different: a wrapper of
``SQLCompiler.as_sql()`` would run for every query. So ``get_autocommit()`` is watched, which that asks of a
connection, for a lock alone, right before it raises.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields import related_descriptors
from django.db.models.lookups import In

from dbroute_panel.recording.exceptions import refused, will_be_refused
from dbroute_panel.recording.misfits import is_as_sql
from dbroute_panel.recording.recorder import recording

Function = Callable[..., Any]

GENERIC: Final = "django.contrib.contenttypes.fields"
"""It is there only where a project has generic relations."""


def watch() -> None:
    """Begin to watch; calling it again changes nothing."""
    _wrap(In, "process_rhs", _refusing)
    _wrap(related_descriptors, "create_reverse_many_to_one_manager", _making_managers)
    if (generic := sys.modules.get(GENERIC)) is not None:
        _wrap(generic, "create_generic_related_manager", _making_managers)
    _wrap(BaseDatabaseWrapper, "get_autocommit", _asked_for_a_lock)


def _wrap(owner: type | ModuleType, name: str, wrapper: Callable[[Function], Function]) -> None:
    function = getattr(owner, name)
    if not getattr(function, "is_watched", False):
        wrapped: Any = wrapper(function)
        wrapped.is_watched = True
        setattr(owner, name, wrapped)


def _refusing(original: Function) -> Function:
    @wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except ValueError as error:
            refused(error)
            raise

    return method


def _making_managers(original: Function) -> Function:
    """A function that makes the class of a related manager, whose ``add()`` refuses."""

    @wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        manager = original(*args, **kwargs)
        _wrap(manager, "add", _refusing)
        return manager

    return make


def _asked_for_a_lock(original: Function) -> Function:
    @wraps(original)
    def get_autocommit(self: BaseDatabaseWrapper) -> Any:
        autocommit = original(self)
        if autocommit and (recorder := recording()) is not None:
            caller = sys._getframe(1)
            if is_as_sql(caller.f_code) and self.features.supports_transactions:
                will_be_refused(recorder, caller)
        return autocommit

    return get_autocommit
