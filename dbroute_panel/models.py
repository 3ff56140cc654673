"""
The permissions of traces, and their place in the admin.

``Trace`` is unmanaged and has no table: traces are in a store (see ``stores``).
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from dbroute_panel.managers import EmptyManager


class Trace(models.Model):
    """A recorded request or block; see ``records.Trace`` for what is in one."""

    id = models.CharField(primary_key=True, max_length=32)

    objects = EmptyManager()

    class Meta:
        managed = False
        base_manager_name = "objects"
        default_permissions = ("add", "delete", "view")
        permissions = (("use_sandbox", _("Can ask the routers in the sandbox")),)
        verbose_name = _("trace")
        verbose_name_plural = _("traces")

    def __str__(self) -> str:
        return self.id
