from __future__ import annotations

from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=200)
    year = models.IntegerField()
    pages = models.IntegerField()

    class Meta:
        app_label = "project"

    def __str__(self) -> str:
        return self.title
