"""
The tables of ``DatabaseStore``, for migrations alone: the store sends its own SQL (``store.py``).

Text of the project's (names, paths, ids) is in bytes, or in a key that is its hexadecimal hash: PostgreSQL's
text refuses NUL, MySQL's has the character set of the database and a collation that takes "A" for "a". The
references have no constraint of Django's: the migration makes one that deletes in the database itself
(``operations.py``), so that traces are deleted in one statement.
"""

from __future__ import annotations

from django.db import models

from dbroute_panel.managers import EmptyManager


class Trace(models.Model):
    """
    One trace. ``n`` is the order of arrival, ``started`` microseconds since 1970, ``duration`` microseconds.

    ``search`` is where a path is looked for: no B-tree can help to find a part of a text.
    """

    n = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=32, unique=True, db_column="trace_key")
    started = models.BigIntegerField()
    duration = models.FloatField()
    queries = models.IntegerField()
    search = models.BinaryField()
    summary = models.BinaryField()

    objects = EmptyManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        indexes = (models.Index(fields=["started", "n"], name="dbroute_trace_started"),)

    def __str__(self) -> str:
        return self.key


class Part(models.Model):
    """A piece of a trace's document: in pieces, it is no larger than a packet of MySQL's may be."""

    trace = models.ForeignKey(Trace, models.CASCADE, db_constraint=False, related_name="+")
    number = models.IntegerField()
    body = models.BinaryField()

    objects = EmptyManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.pk}, {self.number}"


class Mark(models.Model):
    """What a trace can be found by: an ``alias``, a ``finding``, its ``kind``, ``status`` and ``method``."""

    trace = models.ForeignKey(Trace, models.CASCADE, db_constraint=False, related_name="+")
    kind = models.CharField(max_length=8)
    key = models.CharField(max_length=32, db_column="mark_key")
    name = models.BinaryField()

    objects = EmptyManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        indexes = (models.Index(fields=["kind", "key", "trace"], name="dbroute_mark_found_by"),)

    def __str__(self) -> str:
        return f"{self.kind} {bytes(self.name).decode(errors='replace')}"


class Remembered(models.Model):
    """A document beside the traces: the last map."""

    key = models.CharField(max_length=32, primary_key=True, db_column="name_key")
    body = models.BinaryField()

    objects = EmptyManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
