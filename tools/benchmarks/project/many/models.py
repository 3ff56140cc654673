from __future__ import annotations

from django.db import models

for number in range(1000):
    meta = type("Meta", (), {"app_label": "many", "managed": False})
    fields = {"__module__": __name__, "Meta": meta, "title": models.CharField(max_length=10)}
    type(f"Model{number}", (models.Model,), fields)
