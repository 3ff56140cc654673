"""
Whether the routers were asked about the model of a query, or about another one whose alias it got.

Django passes an alias on: to the target of a generic foreign key, along the cascades of ``delete()``, to
what a many-to-many manager creates; and a signal receiver passes its ``using`` on. The decision behind
such a query is not about its model, and every sentence about the two has to say so.
"""

from __future__ import annotations

import enum

from dbroute_panel.records import Decision, Query


class Asked(enum.StrEnum):
    """What the routers were asked about, compared with the query that ran on their answer."""

    SAME_MODEL = "same_model"
    """The query's own model."""

    SAVED_OBJECT = "saved_object"
    """The class of the object being saved: the statement writes its row of a parent's table, or a proxy's."""

    OTHER_MODEL = "other_model"
    """Another model: no router was asked about the query's."""

    UNKNOWN = "unknown"
    """Not known: the statement has no model (raw SQL), or the question had none."""


def asked_about(query: Query, decision: Decision) -> Asked:
    """What ``decision``, whose answer is the alias of ``query``, was about."""
    if query.model == decision.model and query.model is not None:
        return Asked.SAME_MODEL
    if query.model is None or decision.model is None:
        return Asked.UNKNOWN
    if query.instance is not None and query.instance.model == decision.model:
        return Asked.SAVED_OBJECT
    return Asked.OTHER_MODEL


def is_passed_on(query: Query, decision: Decision | None) -> bool:
    """Whether ``query`` ran on the alias of a decision about another model."""
    return decision is not None and asked_about(query, decision) is Asked.OTHER_MODEL
