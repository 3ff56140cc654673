"""Two managers that look alike; only one of them remembers the database that it was bound to."""

from __future__ import annotations

from django.db import models


class ThisCenturyManager(models.Manager):
    """Keeps ``self._db``, as Django's documentation asks of a manager with a ``get_queryset()``."""

    def get_queryset(self):
        return models.QuerySet(self.model, using=self._db).filter(year__gte=2000)


class ForgetfulManager(models.Manager):
    """Forgets ``self._db``: ``db_manager("archive")`` has no effect on it."""

    def get_queryset(self):
        return models.QuerySet(self.model).filter(year__gte=2000)
