from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models


class Token(models.Model):
    key = models.CharField(max_length=40, primary_key=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="auth_token")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "authtoken"

    def __str__(self):
        return self.key

    def save(self, *args, **kwargs):
        if not self.key:
            self.key = secrets.token_hex(20)
            kwargs["force_insert"] = True
        return super().save(*args, **kwargs)
