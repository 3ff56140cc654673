"""dbroute_panel shows which database each Django query went to, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbroute_panel.inspection.arguments import AskError
    from dbroute_panel.inspection.explain import explain
    from dbroute_panel.recording.traces import trace

__all__ = ["AskError", "explain", "trace"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, because Django's models are not ready before."""
    if name == "trace":
        from dbroute_panel.recording.traces import trace

        return trace
    if name == "explain":
        from dbroute_panel.inspection.explain import explain

        return explain
    if name == "AskError":
        from dbroute_panel.inspection.arguments import AskError

        return AskError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
