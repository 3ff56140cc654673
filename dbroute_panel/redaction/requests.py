"""What may be said of a request's URL? The route that it resolves to, in this project."""

from __future__ import annotations

from django.urls import ResolverMatch, get_script_prefix, resolve

from dbroute_panel.records import NO_ROUTE, Request


def route_of(request: Request) -> str:
    """
    ``books/<int:pk>/`` for the path ``/books/42/``; what is a route already stays.

    A path that no route of this project stands for, or one of another view than the recorded, is
    "(no route)": so is that of an imported trace of another project.
    """
    path = request.path
    if not path.startswith("/"):
        return path
    prefix = get_script_prefix()
    if path.startswith(prefix):
        path = f"/{path[len(prefix) :]}"
    match = _resolved(path)
    if match is None and request.view is None:  # CommonMiddleware sent it there
        match = _resolved(f"{path}/")
        return NO_ROUTE if match is None else str(match.route)
    if match is None or match._func_path != request.view:
        return NO_ROUTE
    return str(match.route)


def _resolved(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Exception:  # noqa: BLE001 - Resolver404; or a converter of the user's, which may raise anything
        return None
