"""
Which requests belong to one session, where ``FOLLOW_SESSIONS`` wants to know.

A session is known by a hash of its key, with ``SECRET_KEY`` as the key of the hash: nothing that was kept
opens a session, and nobody without ``SECRET_KEY`` can tell whose it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from dbroute_panel.conf import panel_settings, replicas
from dbroute_panel.recording.captured import CapturedQuery
from dbroute_panel.recording.recorder import Recorder, resumed
from dbroute_panel.records import SessionWrite, Trace

SALT: Final = "dbroute_panel.sessions"
HASH_DIGITS: Final = 32

Recall = Callable[[str, float], tuple[SessionWrite, ...]]
Note = Callable[[str, Trace], object]

_followers: list[tuple[Recall, Note]] = []


def follow_with(recall: Recall, note: Note) -> None:
    """
    Let ``recall(session, moment)`` say what a session wrote before, and ``note()`` what a trace wrote.

    ``moment``: when the request began, in seconds since 1970. Neither may raise (``sessions``).
    """
    _followers[:] = [(recall, note)]


def session_of(request: HttpRequest) -> str | None:
    """The hash of the request's session; None without one, and where sessions are not followed."""
    if not panel_settings.FOLLOW_SESSIONS:
        return None
    session = getattr(request, "session", None)
    # Its key is known without loading it: from the cookie, or since it was saved.
    if not isinstance(session, SessionBase) or not (key := session.session_key):
        return None
    return salted_hmac(SALT, key, algorithm="sha256").hexdigest()[:HASH_DIGITS]


def recall(recorder: Recorder) -> None:
    """Give a recorder what its session wrote before, if it read from a replica at all."""
    primaries = replicas()
    if recorder.session is None or not any(
        type(event) is CapturedQuery and event.alias in primaries for event in recorder.events[:]
    ):
        return
    with resumed(None):  # it may be another trace's context, as where the trace is kept
        for before, _note in _followers:
            recorder.session_writes += before(recorder.session, recorder.started_at.timestamp())


def note(recorder: Recorder, trace: Trace) -> None:
    """Let what the trace of a session wrote be remembered for its next requests."""
    if recorder.session is not None:
        with resumed(None):
            for _recall, remember in _followers:
                remember(recorder.session, trace)
