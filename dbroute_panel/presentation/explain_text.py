"""
Explain in sentences why a query went where it did: decisions, queries, and an object's ``_state.db``.
"""

from __future__ import annotations

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.records import (
    CommitHook,
    DecidedBy,
    Decision,
    ExceptionRaised,
    HookOutcome,
    InstanceRef,
    Outcome,
    Query,
    RouteKind,
)

from . import formatting
from .index import Index, ShortNames


def join_names(routers: list[str]) -> str:
    """``AuthRouter, UserRouter and PrimaryReplicaRouter``."""
    return get_text_list(routers, _("and"))


def explain_decision(decision: Decision, routers: ShortNames) -> str:
    """Explain in one sentence what decided it, and what the routers before it said."""
    by = decision.decided_by
    if by is DecidedBy.ROUTER:
        said = _("%(router)s answered %(answer)s.") % {
            "router": routers(decision.router or "?"),
            "answer": formatting.answer(decision.answer),
        }
        return " ".join(filter(None, [said, _silent(decision, routers)]))
    if by is DecidedBy.ERROR:
        return _explain_error(decision, routers)
    return f"{_explain_no_opinion(decision)} {_explain_fallback(decision)}"


def _explain_fallback(decision: Decision) -> str:
    """Explain what Django did when no router had an opinion."""
    by = decision.decided_by
    if by is DecidedBy.INSTANCE:
        instance = decision.hints.get("instance")
        return _(
            "Django took the database of the hint “instance”: %(instance)s has _state.db = %(alias)s."
        ) % {
            "instance": formatting.value(instance),
            "alias": formatting.answer(decision.answer),
        }
    if by is DecidedBy.DEFAULT:
        return _("There was no instance whose database could be taken, so Django fell back to “default”.")
    if by is DecidedBy.SAME_DATABASE:
        first, second = _sides(decision)
        if decision.answer:
            return _(
                "Django compared _state.db of both objects: both are %(alias)s, so the relation is allowed."
            ) % {"alias": first}
        return _(
            "Django compared _state.db of both objects: %(first)s and %(second)s differ, so it is refused."
        ) % {
            "first": first,
            "second": second,
        }
    return _("Without an opinion Django migrates.")


def _sides(decision: Decision) -> tuple[str, str]:
    arguments = decision.args or {}
    refs = (arguments.get("obj1"), arguments.get("obj2"))
    return (
        str(refs[0].state_db if isinstance(refs[0], InstanceRef) else None),
        str(refs[1].state_db if isinstance(refs[1], InstanceRef) else None),
    )


def _explain_no_opinion(decision: Decision) -> str:
    if not decision.steps:
        return _("No routers are configured.")
    return _("No router had an opinion.")


def _silent(decision: Decision, routers: ShortNames) -> str:
    """Who was asked before the one that answered, and had no opinion."""
    passed = [routers(s.router) for s in decision.steps if s.outcome is Outcome.PASSED]
    without = [routers(s.router) for s in decision.steps if s.outcome is Outcome.NO_METHOD]
    parts = []
    if passed:
        parts.append(_("%(routers)s had no opinion") % {"routers": join_names(passed)})
    if without:
        parts.append(
            ngettext("%(routers)s has no %(method)s()", "%(routers)s have no %(method)s()", len(without))
            % {"routers": join_names(without), "method": str(decision.action)}
        )
    return f"{'; '.join(parts)}." if parts else ""


def _explain_error(decision: Decision, routers: ShortNames) -> str:
    step = next((s for s in decision.steps if s.outcome is Outcome.RAISED), None)
    if step is None:
        return _("The question ended in an error.")
    return _("%(router)s raised %(error)s, so nobody else was asked and there is no answer.") % {
        "router": routers(step.router),
        "error": formatting.truncate(step.error or "?"),
    }


def summarize_query(query: Query, decision: Decision | None, routers: ShortNames) -> str:
    """The few words of the column “why”."""
    if query.route is RouteKind.EXPLICIT:
        return _('using("%(alias)s"), no router asked') % {"alias": query.alias}
    if query.route is RouteKind.CURSOR:
        return _("raw cursor, the code chose the alias")
    if query.route is RouteKind.SCHEMA:
        return _("schema editor, no router asked")
    if query.route is RouteKind.PEERS:
        return _("with its peers, no router was asked")
    if decision is None:
        return str(query.route)
    asked = asked_about(query, decision)
    if asked is Asked.SAME_MODEL:
        return summarize_decision(decision, routers)
    told = {"number": decision.id, "question": formatting.question(decision), "model": query.model}
    if asked is Asked.OTHER_MODEL:
        return _("alias of #%(number)s, %(question)s; no router was asked about %(model)s") % told
    if asked is Asked.SAVED_OBJECT:
        return _("alias of #%(number)s, %(question)s, the saved object's model") % told
    return _("alias of #%(number)s, %(question)s") % told


def summarize_decision(decision: Decision, routers: ShortNames) -> str:
    """Summarize who decided, in a few words."""
    by = decision.decided_by
    if by is DecidedBy.ROUTER:
        return routers(decision.router or "?")
    if by is DecidedBy.INSTANCE:
        return _("instance %(instance)s") % {"instance": formatting.value(decision.hints.get("instance"))}
    if by is DecidedBy.DEFAULT:
        return _("default, no router had an opinion")
    if by is DecidedBy.SAME_DATABASE:
        return _("_state.db compared, no router had an opinion")
    if by is DecidedBy.ALLOWED:
        return _("allowed, no router had an opinion")
    raised = next((s.router for s in decision.steps if s.outcome is Outcome.RAISED), None)
    return _("%(router)s raised") % {"router": routers(raised)} if raised else _("error")


def explain_query(query: Query, decision: Decision | None) -> str:
    """Explain in one sentence whether a router was asked at all."""
    if query.route is RouteKind.EXPLICIT:
        return _(
            "The code named “%(alias)s” itself, with using(), save(using=) or db_manager() or alike. "
            "No router was asked."
        ) % {"alias": query.alias}
    if query.route is RouteKind.CURSOR:
        return _(
            "A raw cursor on connections[“%(alias)s”]: the code named the alias, or passed one on. Django "
            "asks no router for a raw cursor."
        ) % {"alias": query.alias}
    if query.route is RouteKind.SCHEMA:
        return _("The schema editor of “%(alias)s”. No router was asked for this statement.") % {
            "alias": query.alias
        }
    if query.route is RouteKind.PEERS:
        return _(
            "Django fetched a deferred field for all objects of a queryset at once, on “%(alias)s”, the "
            "database of the first of them. No router was asked."
        ) % {"alias": query.alias}
    if decision is None:
        return _("Decision #%(number)s, which sent it there, is not in this trace.") % {
            "number": query.decision_id
        }
    told = {
        "alias": query.alias,
        "number": decision.id,
        "question": formatting.question(decision),
        "model": query.model,
    }
    asked = asked_about(query, decision)
    if asked is Asked.OTHER_MODEL:
        return (
            _(
                "Sent to “%(alias)s”, the alias that decision #%(number)s, %(question)s, had given and that "
                "was passed on. No router was asked about %(model)s here."
            )
            % told
        )
    if asked is Asked.SAVED_OBJECT:
        return (
            _(
                "Sent to “%(alias)s” by decision #%(number)s, %(question)s, about the saved object. This "
                "statement writes its row of %(model)s, about which no router was asked."
            )
            % told
        )
    return _("Sent to “%(alias)s” by decision #%(number)s, %(question)s.") % told


def summarize_hook(event: CommitHook) -> str:
    """Summarize what became of a function given to ``on_commit()``, in a few words."""
    return {
        HookOutcome.RAN_AT_ONCE: _("ran at once"),
        HookOutcome.RAN: _("ran after the commit"),
        HookOutcome.DISCARDED: _("discarded"),
        HookOutcome.PENDING: _("not run by the end of the trace"),
    }[event.outcome]


def explain_hook(event: CommitHook) -> str:
    """Explain in one sentence what became of a function given to ``on_commit()``, and why."""
    names = {"function": event.function, "alias": event.alias}
    if event.outcome is HookOutcome.RAN_AT_ONCE:
        return _("%(function)s ran at once: no transaction was open on “%(alias)s”.") % names
    if event.outcome is HookOutcome.RAN:
        return _("%(function)s ran after the transaction on “%(alias)s” was committed.") % names
    if event.outcome is HookOutcome.DISCARDED:
        return (
            _(
                "%(function)s never runs: what it waited for on “%(alias)s” was rolled back, "
                "or a function before it raised."
            )
            % names
        )
    return (
        _("%(function)s had not run by the end of the trace; it waits for a commit on “%(alias)s”.") % names
    )


def summarize_exception(event: ExceptionRaised) -> str:
    """Summarize what an exception ended, in a few words."""
    if event.ended == "trace":
        return _("ended the trace")
    return _("left atomic()") if event.ended == "atomic" else _("caught inside")


def explain_exception(event: ExceptionRaised) -> str:
    """Explain what an exception ended, and what Django refused if that is what it is about."""
    names = {"alias": event.alias, "model": event.model, "using": event.using, "other": event.other}
    if event.ended is None:
        said = _("The code caught this exception before it left an atomic() block or ended the trace.")
    elif event.alias is None:
        said = _("This exception ended the trace.")
    elif event.ended == "trace":
        said = _("This exception left atomic() on “%(alias)s”, and ended the trace.") % names
    else:
        said = _("This exception left atomic() on “%(alias)s”.") % names
    if event.using is None:
        return said
    if event.other is None:
        about = _("Django refused to use %(model)s on “%(using)s”.") % names
    else:
        about = _("Django refused to use %(model)s of “%(other)s” on “%(using)s”.") % names
    return f"{said} {about}"


def explain_state_db(ref: InstanceRef, index: Index | None = None) -> str:
    """Explain where the object's ``_state.db`` comes from, in a clause without a full stop."""
    if ref.state_db is None:
        return _("_state.db is not set: no database yet")
    if index is None:
        return _("_state.db = %(alias)s") % {"alias": ref.state_db}
    origin = index.decision(ref.origin_id)
    if origin is None:
        return _("_state.db = %(alias)s, which no decision of this trace put there") % {"alias": ref.state_db}
    text = _("_state.db = %(alias)s, put there by decision #%(number)s, %(question)s") % {
        "alias": ref.state_db,
        "number": origin.id,
        "question": formatting.question(origin),
    }
    other = origin.hints.get("instance")
    if not isinstance(other, InstanceRef):
        return text
    return _("%(text)s, asked with instance=%(instance)s (_state.db = %(alias)s)") % {
        "text": text,
        "instance": formatting.instance(other),
        "alias": other.state_db,
    }
