"""Routers as the tests of the lints need them: made of answers, or wrong in one way."""

from __future__ import annotations


class Routes:
    """Answers by model label, then by app label, else has no opinion."""

    def __init__(self, read=None, write=None, relation=None, migrate=None):
        self.read, self.write = read or {}, write if write is not None else (read or {})
        self.relation, self.migrate = relation, migrate or {}

    @staticmethod
    def _of(answers, model):
        return answers.get(model._meta.label, answers.get(model._meta.app_label, answers.get("*")))

    def db_for_read(self, model, **hints):
        return self._of(self.read, model)

    def db_for_write(self, model, **hints):
        return self._of(self.write, model)

    def allow_relation(self, obj1, obj2, **hints):
        return self.relation

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        allowed = self.migrate.get(app_label, self.migrate.get("*"))
        return None if allowed is None else db in allowed


class ReadsOnly:
    def db_for_read(self, model, **hints):
        return "replica1" if model._meta.app_label == "library" else None


class Everything:
    """Answers every question, so that nobody after it is asked."""

    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return db == "primary"


class NoHints:
    def db_for_read(self, model):
        return None


class Old:
    def allow_syncdb(self, db, model):
        return None


class Older:
    def allow_migrate(self, db, model):
        return None


class Plain:
    def db_for_read(self, model, **hints):
        return None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return None


class Static:
    """As a class it works: its method needs no self."""

    @staticmethod
    def db_for_read(model, **hints):
        return None


class Raising:
    def db_for_write(self, model, **hints):
        if model._meta.label == "notes.Note":
            raise LookupError("no tenant")


class OneByOne:
    """Takes turns, whatever it is asked about."""

    def __init__(self, *aliases):
        self.aliases = list(aliases)

    def db_for_read(self, model, **hints):
        self.aliases.append(self.aliases.pop(0))
        return self.aliases[0]


class Unmade:
    def __init__(self):
        raise LookupError("no tenants configured")
