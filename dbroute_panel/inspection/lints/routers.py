"""The routers themselves: their signatures, and whether they are ever asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from django.db import router
from django.utils.module_loading import import_string

from dbroute_panel.environment import dotted_path
from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.records import Action, Level, Outcome

MODEL_ACTIONS = (Action.READ, Action.WRITE, Action.MIGRATE)
"""The questions that can be asked about a model alone."""


@lint("unreachable-router", Level.WARNING)
def unreachable_router(facts: RoutingFacts) -> Iterator[Problem]:
    """A router with a method that no model ever reaches, because others always answer before."""
    routers = facts.routers
    if not routers:
        return
    for action in MODEL_ACTIONS:
        unreached = set(range(len(routers)))
        for model in facts.models:
            for arguments in _build_arguments(facts, action):
                decision = facts.ask(model, action, **arguments)
                if len(decision.steps) != len(routers):
                    return  # a router class that overrides the whole chain
                unreached -= {
                    i for i, step in enumerate(decision.steps) if step.outcome is not Outcome.NOT_ASKED
                }
            if not unreached:
                break
        for position in sorted(unreached) if facts.models else ():
            if _get_method(routers[position], action) is not None:
                path = dotted_path(routers[position])
                yield Problem(
                    path,
                    f"No model ever reaches {path}.{action}(): the routers before it answer for every model. "
                    "Move it up, or let them return None for what is not theirs.",
                )


def _build_arguments(facts: RoutingFacts, action: Action) -> list[dict[str, str]]:
    return [{"db": alias} for alias in facts.databases] if action is Action.MIGRATE else [{}]


@lint("router-signature", Level.ERROR)
def router_signature(facts: RoutingFacts) -> Iterator[Problem]:
    """A router that Django cannot make or call as it does, or that is written for a Django long gone."""
    if not facts.routers:
        yield from _find_broken_entries()
    for each in facts.routers:
        path = dotted_path(each)
        methods = {action: _get_method(each, action) for action in Action}
        if isinstance(each, type) and any(isinstance(_get_static(each, a), FunctionType) for a in Action):
            yield Problem(
                path,
                f"{path} is a class, so that its methods get no self. Put an instance into DATABASE_ROUTERS.",
            )
            continue
        if methods[Action.MIGRATE] is None and _get_method(each, "allow_syncdb") is not None:
            yield Problem(
                path,
                f"{path} defines allow_syncdb, which Django has not called since 1.9. Rename it to "
                "allow_migrate(db, app_label, model_name=None, **hints).",
            )
        for action, method in methods.items():
            mistake = None if method is None else _check_signature(action, method)
            if mistake:
                yield Problem(path, f"{path}.{action}() {mistake}")


def _find_broken_entries() -> Iterator[Problem]:
    """What of ``DATABASE_ROUTERS`` cannot be imported or made: then Django fails at every question."""
    for entry in getattr(router, "_routers", None) or ():  # the setting, once it was tried
        if not isinstance(entry, str):
            continue
        try:
            import_string(entry)()
        except Exception as error:  # whatever the user's module raises
            yield Problem(
                entry,
                f"The router {entry} of DATABASE_ROUTERS cannot be made: {describe_error(error)}. Until then "
                "every question to the routers fails. Correct its path, or what its module or class raises.",
            )


def _get_static(router: Any, name: str) -> Any:
    return inspect.getattr_static(router, name, None)


def _get_method(router: Any, name: str) -> Callable[..., Any] | None:
    """The method, bound as Django binds it; None where there is none. A property of that name is not run."""
    found = _get_static(router, name)
    if found is None or isinstance(found, property):
        return None
    method = getattr(router, name)
    return method if callable(method) else None


def _check_signature(action: Action, method: Callable[..., Any]) -> str | None:
    """What is wrong with a router method's signature, and how it should be; or None."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # a callable written in C: nothing to see
        return None
    names = [
        p.name
        for p in signature.parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)
    ]
    takes_hints = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if action is Action.MIGRATE and names[:2] == ["db", "model"]:
        return "takes (db, model), as before Django 1.8. Take (db, app_label, model_name=None, **hints)."
    if not takes_hints:
        return "takes no **hints, so that a call with a hint raises TypeError. Add **hints to its parameters."
    return None
