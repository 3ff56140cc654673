"""A manager of models without rows, for Django's stock code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model)


class EmptyQuerySet(models.QuerySet[M]):
    """
    No rows, without asking a router for their database, or a database for its features.

    ``none()`` alone does both: on a project whose ``default`` is ``{}``, counting no rows fails.
    """

    def _fetch_all(self) -> None:
        self._result_cache: list[M] = []

    def iterator(self, chunk_size: int | None = None) -> Iterator[M]:
        return iter(())

    def count(self) -> int:
        return 0

    def exists(self) -> bool:
        return False


class EmptyManager(models.Manager[M]):
    """
    Never has any rows, so that ``dumpdata``, autocompletion and stock admin code never query them.

    Set it as ``base_manager_name`` too.
    """

    def get_queryset(self) -> models.QuerySet[M]:
        return EmptyQuerySet(self.model, using=self._db).none()
