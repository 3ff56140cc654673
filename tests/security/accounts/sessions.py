"""As in "Extending database-backed session engines" of Django's documentation, with its own cache key."""

from __future__ import annotations

from django.contrib.sessions.backends.cached_db import SessionStore as CachedStore


class SessionStore(CachedStore):
    cache_key_prefix = "tests.own_sessions"

    @classmethod
    def get_model_class(cls):
        from tests.security.accounts.models import KeptSession

        return KeptSession

    def create_model_instance(self, data):
        made = super().create_model_instance(data)
        made.account = data.get("_auth_user_id")
        return made
