"""
Two routers: the first one passes or raises, the second one answers an alias that no call has had before.

In a program that ``passes``, the second router answers only every second question, and Django goes on to the
instance's alias or to ``default``.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.fuzz.notes import Asked, log
from tests.fuzz.settings import POOL


class Turns:
    """Which alias is next. ``restart()`` before each run of a program."""

    def __init__(self) -> None:
        self.restart(passes=False)

    def restart(self, *, passes: bool) -> None:
        self.passes = passes
        self.turns = count()

    def answer(self) -> str | None:
        turn = next(self.turns)
        if self.passes and turn % 2:
            return None
        # A new object at each call, as of a router that puts the name together.
        return "".join(["db", str(turn % POOL)])


turns = Turns()


class Passing:
    """Has an opinion on no question."""

    def db_for_read(self, model: Any, **hints: Any) -> None:
        return None

    db_for_write = db_for_read


class Answering:
    """Answers another alias at each call. Relations are allowed: all is one database."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return self._answer("db_for_read", model)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self._answer("db_for_write", model)

    def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> bool:
        log.append(Asked("allow_relation", None, True, ((_path(Passing), None), (_path(Answering), True))))
        return True

    def _answer(self, action: str, model: Any) -> str | None:
        answer = turns.answer()
        log.append(
            Asked(action, model._meta.label, answer, ((_path(Passing), None), (_path(Answering), answer)))
        )
        return answer


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
