"""
Short texts for what a record holds: an object, an answer, a question, a place in the code.

They have no markup; ``explain_text`` makes sentences of them.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from dbroute_panel.records import Action, Callsite, CommitHook, Decision, InstanceRef, Query, TypeRef

SQLITE_GENERIC_ERROR_CODE = 1
"""SQLite's code for any error in a statement."""

MAX_VALUE_LENGTH = 300
"""In characters. Longer values are cut on the page; the export has them whole."""


def truncate(text: str, longest: int = MAX_VALUE_LENGTH) -> str:
    """``text``, at most ``longest`` characters of it."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,})"


def truncate_start(text: str, longest: int = 50) -> str:
    """``text``, or its last ``longest`` characters: of a long path, where the file is matters most."""
    return text if len(text) <= longest else f"…{text[-longest:]}"


def instance(ref: InstanceRef) -> str:
    """``library.Book #42``; an object that has no key yet is new."""
    if ref.pk is not None:
        return f"{ref.model} #{truncate(ref.pk, 60)}"
    if ref.adding:
        return _("new %(model)s") % {"model": ref.model}
    return _("%(model)s without a key") % {"model": ref.model}


def value(plain: Any) -> str:
    """A hint or argument: an object by name, a type in angle brackets, everything else as JSON."""
    if isinstance(plain, InstanceRef):
        return instance(plain)
    if isinstance(plain, TypeRef):
        return f"<{plain.type}>"
    return truncate(json.dumps(plain, ensure_ascii=False))


def answer(said: Any) -> str:
    """What a router answered: an alias as it is, yes and no as Python has them."""
    if isinstance(said, TypeRef):
        return f"<{said.type}>"
    return truncate(str(said), 100)


def outcome(decision: Decision) -> str:
    """What became of the whole question: the alias, or whether it was allowed."""
    if decision.answer is None:
        return _("no answer")
    if decision.action.names_alias:
        return answer(decision.answer)
    return verdict(decision.action, bool(decision.answer))


def verdict(action: Action, yes: bool) -> str:
    """What an answer to one of the ``allow_*`` questions means."""
    if action is Action.RELATION:
        return _("allowed") if yes else _("refused")
    return _("migrate") if yes else _("skip")


def question(decision: Decision) -> str:
    """``db_for_write(library.Book)``: the call without its hints."""
    arguments = decision.args or {}
    if decision.action is Action.RELATION:
        shown = [value(arguments.get(name)) for name in ("obj1", "obj2")]
    elif decision.action is Action.MIGRATE:
        shown = [str(arguments.get("db")), str(arguments.get("app_label"))]
        if (name := arguments.get("model_name")) is not None:
            shown.append(str(name))
    else:
        shown = [decision.model] if decision.model else []
    return f"{decision.action}({', '.join(truncate(text, 80) for text in shown)})"


def error(query: Query) -> str:
    """The error of a query with the database's own code, where the message has not got that; or ""."""
    error, code = query.error or "", query.error_code
    if code is None or code == SQLITE_GENERIC_ERROR_CODE or f"({code}, " in error:
        return error
    told = f"SQLSTATE {code}" if isinstance(code, str) else _("code %(code)d") % {"code": code}
    return f"{error} ({told})"


def hook(event: CommitHook) -> str:
    """``on_commit(shop.tasks.send_mail)``, with ``robust=True`` where it was given."""
    robust = ", robust=True" if event.robust else ""
    return f"on_commit({truncate(event.function, 80)}{robust})"


def place(site: Callsite | None) -> str:
    """``views.py:88``: the file's last part and the line; of a library's line all that is known."""
    if site is None:
        return ""
    if site.entry is not None:
        return with_entry(site, truncate_start(full_place(site)))
    return f"{site.file.replace(chr(92), '/').rpartition('/')[2]}:{site.line}"


def full_place(site: Callsite) -> str:
    """``library/views.py:88``: the whole path as recorded."""
    return f"{site.file}:{site.line}"


def called_from(site: Callsite) -> str:
    """``library/views.py:88 book_list``: the whole path with the function."""
    return with_entry(site, f"{full_place(site)} {site.function}")


def with_entry(site: Callsite, text: str) -> str:
    """``text``, and at a line of a library's what Django had called: ``..., in GET admin:index``."""
    if not site.entry:
        return text
    return _("%(place)s, in %(entry)s") % {"place": text, "entry": truncate(site.entry, 100)}
