"""
Replace the routers that ``django.db.router`` asks, in one context only.

``django.db.router`` itself is still asked, so its rules hold, and a router that asks it again reaches the
replacements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from django.db import router
from django.utils.translation import gettext as _

from dbroute_panel.environment import dotted_path
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.inspection.patches import Patches
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.suggestions import did_you_mean

_overriding_routers: ContextVar[list[Any] | None] = ContextVar("dbroute_panel_routers", default=None)


def make_routers(paths: Iterable[str]) -> list[Any]:
    """Make a router of each dotted path, as Django makes those of its setting. Raises ``AskError``."""
    return [_make_router(path) for path in paths]


@contextmanager
def override_routers(routers: Sequence[Any] | None) -> Iterator[None]:
    """Let ``django.db.router`` ask ``routers`` in this context; None changes nothing."""
    if routers is None:
        yield
        return
    token = _overriding_routers.set(list(routers))
    try:
        with PATCHES:
            yield
    finally:
        _overriding_routers.reset(token)


class _RoutersDescriptor:
    """
    A replacement of the cached property ``django.db.router.routers``.

    Django's own list stays in the router's ``__dict__``, where settings overrides also assign it, and is
    what every other context sees.
    """

    def __init__(self, original: Any) -> None:
        self.original = original

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self.original
        if (others := _overriding_routers.get()) is not None:
            return others
        if "routers" not in instance.__dict__:
            return self.original.__get__(instance, owner)  # puts it there
        return instance.__dict__["routers"]

    def __set__(self, instance: Any, routers: Any) -> None:
        instance.__dict__["routers"] = routers

    def __delete__(self, instance: Any) -> None:
        try:
            del instance.__dict__["routers"]
        except KeyError:
            raise AttributeError("routers") from None


PATCHES = Patches(((lambda: (type(router), "routers")), _RoutersDescriptor))


def _make_router(path: str) -> Any:
    module_path, _dot, name = path.rpartition(".")
    if not module_path:
        raise _unknown_router(path, _("A router is named by its dotted path."))
    try:
        module = import_module(module_path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_path}.".startswith(f"{error.name}."):
            raise _broken_router(path, error) from error
        raise _unknown_router(path, _("There is no module %(module)r.") % {"module": error.name}) from None
    except Exception as error:
        raise _broken_router(path, error) from error
    try:
        cls = getattr(module, name)
    except AttributeError:
        defined = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise AskError(
            _("No router %(path)r. The module %(module)r has no %(name)r. %(hint)s")
            % {
                "path": path,
                "module": module_path,
                "name": name,
                "hint": did_you_mean(name, defined),
            }
        ) from None
    if not callable(cls):
        raise AskError(
            _("%(path)r is no router class but a %(type)s.") % {"path": path, "type": type(cls).__name__}
        )
    try:
        return cls()
    except Exception as error:
        raise _broken_router(path, error) from error


def _unknown_router(path: str, why: str) -> AskError:
    hint = did_you_mean(path, [dotted_path(known) for known in router.routers])
    return AskError(_("No router %(path)r. %(why)s %(hint)s") % {"path": path, "why": why, "hint": hint})


def _broken_router(path: str, error: Exception) -> AskError:
    return AskError(
        _("The router %(path)r cannot be made: %(error)s") % {"path": path, "error": describe_error(error)}
    )
