"""Routers that keep some of Django's own apps apart: for scenario 23, each before the site's own routers."""

from __future__ import annotations


class HomesRouter:
    """Each app of ``homes`` on the database that is named there."""

    homes: dict[str, str] = {}

    def db_for_read(self, model, **hints):
        return self.homes.get(model._meta.app_label)

    def db_for_write(self, model, **hints):
        return self.homes.get(model._meta.app_label)

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db == self.homes[app_label] if app_label in self.homes else None


class ContentTypesApart(HomesRouter):
    """The permissions stay on ``auth_db``, what they point to does not."""

    homes = {"contenttypes": "archive"}


class AdminApart(HomesRouter):
    """The admin's log away from the users that it points to."""

    homes = {"admin": "archive"}


class SitesApart(HomesRouter):
    """Pages and redirects away from the sites that they belong to."""

    homes = {"sites": "auth_db", "flatpages": "archive", "redirects": "archive"}


class ContentTypesTwice:
    """A table of the content types on two databases, each with keys of its own."""

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return db in {"auth_db", "archive"} if app_label == "contenttypes" else None
