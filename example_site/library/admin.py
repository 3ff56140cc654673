from __future__ import annotations

from django.contrib import admin

from example_site.library.models import Book, Person, Tag


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    list_display = ["title", "author", "year"]
    list_select_related = ["author"]
    search_fields = ["title"]


admin.site.register([Person, Tag])
