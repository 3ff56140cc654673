"""
Watch the router: the whole chain of every decision, by Django's own rules.

``django.db.router`` keeps its identity; only its class becomes a subclass of what it was. Nothing is ever put
into ``router.routers``, which is read afresh at every call.
"""

from __future__ import annotations

import sys
from typing import Any

from dbroute_panel.recording import _fastpath
from dbroute_panel.recording.decisions import decide
from dbroute_panel.recording.recorder import OWN_APPS, active
from dbroute_panel.records import Action


def make_watched_class(base: Any) -> type:
    """Return the subclass of a router class whose four questions are recorded while a trace is active."""

    # Django's parameter names, because they work as keywords. ``others`` are for a method of the project's in
    # the place of Django's, which takes none.
    class Watched(base):  # type: ignore[misc]
        is_watched = True

        def db_for_read(self, model: Any, *others: Any, **hints: Any) -> Any:
            if (recorder := active.get()) is None:
                return super().db_for_read(model, *others, **hints)
            return decide(recorder, Watched, self, Action.READ, (model, *others), hints, sys._getframe(1))

        def db_for_write(self, model: Any, *others: Any, **hints: Any) -> Any:
            if (recorder := active.get()) is None:
                return super().db_for_write(model, *others, **hints)
            return decide(recorder, Watched, self, Action.WRITE, (model, *others), hints, sys._getframe(1))

        def allow_relation(self, obj1: Any, obj2: Any, *others: Any, **hints: Any) -> Any:
            if (recorder := active.get()) is None:
                return super().allow_relation(obj1, obj2, *others, **hints)
            args = (obj1, obj2, *others)
            return decide(recorder, Watched, self, Action.RELATION, args, hints, sys._getframe(1))

        def allow_migrate(self, db: Any, app_label: Any, *others: Any, **hints: Any) -> Any:
            recorder = active.get()
            if recorder is None or (type(app_label) is str and app_label in OWN_APPS):
                return super().allow_migrate(db, app_label, *others, **hints)
            args = (db, app_label, *others)
            return decide(recorder, Watched, self, Action.MIGRATE, args, hints, sys._getframe(1))

    _fastpath.install(Watched)
    Watched.__name__ = Watched.__qualname__ = f"Watched{base.__name__}"
    return Watched


def watch(router: Any) -> None:
    """Begin to watch a router, once: its class becomes a subclass of what it was."""
    if not getattr(type(router), "is_watched", False):
        router.__class__ = make_watched_class(type(router))
