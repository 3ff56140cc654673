"""The routers of Django's documentation: one for accounts, and one that reads from any replica."""

from __future__ import annotations

import random


class AccountsRouter:
    app_labels = frozenset({"auth", "contenttypes", "sessions", "admin"})

    def db_for_read(self, model, **hints):
        return "default" if model._meta.app_label in self.app_labels else None

    def db_for_write(self, model, **hints):
        return "default" if model._meta.app_label in self.app_labels else None


class PrimaryReplicaRouter:
    """Answers for the models of the project only: the tables of a tool are on one database."""

    def db_for_read(self, model, **hints):
        return random.choice(["default", "replica"]) if model._meta.app_label == "project" else None

    def db_for_write(self, model, **hints):
        return "default" if model._meta.app_label == "project" else None

    def allow_relation(self, obj1, obj2, **hints):
        return True


class EverythingRouter:
    """A third router, for the map and the replay."""

    def db_for_read(self, model, **hints):
        return "default"

    def db_for_write(self, model, **hints):
        return "default"

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return app_label == "project" or db == "default"
