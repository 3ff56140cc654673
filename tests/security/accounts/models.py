"""They name their app, because only the test that needs it installs it."""

from __future__ import annotations

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class KeptSession(AbstractBaseSession):
    """A session with a column of its own, as Django's documentation shows one."""

    account = models.IntegerField(null=True)

    class Meta:
        app_label = "accounts"

    @classmethod
    def get_session_store_class(cls):
        from tests.security.accounts.sessions import SessionStore

        return SessionStore


class Basket(models.Model):
    """A shop's basket, found again by the key of a visitor's session: no foreign key, just the text."""

    session_key = models.CharField(max_length=40, primary_key=True)

    class Meta:
        app_label = "accounts"

    def __str__(self):
        return self.session_key


class Mail(models.Model):
    """A message that waits in a table until it is sent."""

    body = models.TextField()

    class Meta:
        app_label = "accounts"

    def __str__(self):
        return self.body


class Change(models.Model):
    """A log of what was changed, as JSON."""

    fields = models.JSONField()

    class Meta:
        app_label = "accounts"

    def __str__(self):
        return str(self.fields)
