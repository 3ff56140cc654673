"""The readers in two admin sites: where they are today, and where they are moving to."""

from __future__ import annotations

from django.contrib import admin

from example_site.multidb_admin import MultiDBModelAdmin, MultiDBTabularInline
from example_site.users.models import Card, User


class LegacyCardInline(MultiDBTabularInline):
    using = "legacy_users"
    model = Card
    extra = 1


@admin.register(User)
class LegacyUserAdmin(MultiDBModelAdmin):
    using = "legacy_users"
    list_display = ["username", "email"]
    inlines = [LegacyCardInline]


new_users_site = admin.AdminSite("new_users_admin")
new_users_site.site_header = "Readers on new_users"


class NewCardInline(LegacyCardInline):
    using = "new_users"


@admin.register(User, site=new_users_site)
class NewUserAdmin(LegacyUserAdmin):
    using = "new_users"
    inlines = [NewCardInline]
