"""
What does Django need to know of traces? Their permissions, and a place in the admin.

``Trace`` is unmanaged and has no table: traces are in our own store (see ``stores``). Its managers
give no rows, so that ``dumpdata``, autocompletion and stock admin code never query it.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models
from django.utils.translation import gettext_lazy as _


class Empty(models.QuerySet["Trace"]):
    """
    No rows, without asking a router for where they might be, or a database for what it can do.

    ``none()`` alone does both: on a project whose ``default`` is ``{}``, counting no rows fails.
    """

    def _fetch_all(self) -> None:
        self._result_cache: list[Trace] = []

    def iterator(self, chunk_size: int | None = None) -> Iterator[Trace]:
        return iter(())

    def count(self) -> int:
        return 0

    def exists(self) -> bool:
        return False


class NoRows(models.Manager["Trace"]):
    """Never has any rows."""

    def get_queryset(self) -> models.QuerySet[Trace]:
        return Empty(self.model, using=self._db).none()


class Trace(models.Model):
    """A recorded request or block; see ``records.Trace`` for what is in one."""

    id = models.CharField(primary_key=True, max_length=32)

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        default_permissions = ("add", "delete", "view")
        permissions = (("use_sandbox", _("Can ask the routers in the sandbox")),)
        verbose_name = _("trace")
        verbose_name_plural = _("traces")

    def __str__(self) -> str:
        return self.id
