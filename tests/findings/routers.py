"""Routers that do what routers should not."""

from __future__ import annotations

from django.db import router

from example_site.notes.models import Note


class Shard:
    """What some routers answer instead of an alias."""


class Answers:
    def __init__(self, answer):
        self.answer = answer

    def db_for_read(self, model, **hints):
        return self.answer if model._meta.label == "library.Tag" else None


class Raises:
    def __init__(self, action):
        setattr(self, action, self.fail)

    def fail(self, *args, **hints):
        return 1 / 0


class AsksAgain:
    """Sends reads where writes go."""

    def db_for_read(self, model, **hints):
        return router.db_for_write(model)


class AsksAndAllows:
    asking = False

    def allow_relation(self, one, other, **hints):
        if self.asking:
            return None
        self.asking = True
        try:
            router.allow_relation(one, other)
        finally:
            self.asking = False
        return True


class Queries:
    def __init__(self, times=1):
        self.times = times

    def db_for_read(self, model, **hints):
        for _ in range(self.times):
            Note.objects.using("archive").count()


class Remembers:
    known = None

    def db_for_read(self, model, **hints):
        if self.known is None:
            self.known = Note.objects.using("archive").count()


class Alternates:
    """Round-robin, over anything."""

    def __init__(self, *answers):
        self.answers = answers
        self.asked = 0

    def db_for_read(self, model, **hints):
        answer = self.answers[self.asked % len(self.answers)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    db_for_write = db_for_read


class Changes:
    """Has another opinion on a relation every time."""

    opinion = False

    def allow_relation(self, one, other, **hints):
        self.opinion = not self.opinion
        return self.opinion
