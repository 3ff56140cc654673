"""The routers of the example site, in the order in which Django asks them."""

from __future__ import annotations

import random


class AuthRouter:
    """Who may log in, and what they did in the admin, is on ``auth_db``."""

    app_labels = {"auth", "contenttypes", "sessions", "admin"}

    def db_for_read(self, model, **hints):
        if model._meta.app_label in self.app_labels:
            return "auth_db"
        return None

    def db_for_write(self, model, **hints):
        if model._meta.app_label in self.app_labels:
            return "auth_db"
        return None

    def allow_relation(self, obj1, obj2, **hints):
        if obj1._meta.app_label in self.app_labels or obj2._meta.app_label in self.app_labels:
            return True
        return None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if app_label in self.app_labels:
            return db == "auth_db"
        return None


class UserRouter:
    """The readers are still on ``legacy_users``; ``new_users`` has the tables already."""

    app_label = "users"

    def db_for_read(self, model, **hints):
        if model._meta.app_label == self.app_label:
            return "legacy_users"
        return None

    def db_for_write(self, model, **hints):
        if model._meta.app_label == self.app_label:
            return "legacy_users"
        return None

    def allow_relation(self, obj1, obj2, **hints):
        app_labels = {obj1._meta.app_label, obj2._meta.app_label}
        if self.app_label in app_labels:
            return app_labels == {self.app_label}
        return None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if app_label == self.app_label:
            return db in {"legacy_users", "new_users"}
        return None


class PrimaryReplicaRouter:
    """The library is read from a random replica and written to the primary."""

    app_label = "library"
    replicas = ["replica1", "replica2"]
    group = {"primary", *replicas}

    def db_for_read(self, model, **hints):
        if model._meta.app_label == self.app_label:
            return random.choice(self.replicas)
        return None

    def db_for_write(self, model, **hints):
        if model._meta.app_label == self.app_label:
            return "primary"
        return None

    def allow_relation(self, obj1, obj2, **hints):
        if (
            obj1._meta.app_label == obj2._meta.app_label == self.app_label
            and {
                obj1._state.db,
                obj2._state.db,
            }
            <= self.group
        ):
            return True
        return None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if app_label == self.app_label:
            return db in {"primary", "archive"}
        return None


class EverythingRouter(PrimaryReplicaRouter):
    """As PrimaryReplicaRouter, but for every model, as in Django's documentation: none after it is asked."""

    def db_for_read(self, model, **hints):
        return random.choice(self.replicas)

    def db_for_write(self, model, **hints):
        return "primary"


class PassingRouter:
    """Has all four methods, and no opinion on anything."""

    def db_for_read(self, model, **hints):
        return None

    def db_for_write(self, model, **hints):
        return None

    def allow_relation(self, obj1, obj2, **hints):
        return None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return None


class NowhereRouter:
    """Names a database that the settings do not have."""

    def db_for_read(self, model, **hints):
        if model._meta.label == "library.Book":
            return "nowhere"
        return None
