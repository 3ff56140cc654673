"""
A thousand models: 40 apps of 25, installed by ``INSTALLED_APPS += APPS``.

They are real models, made when Django loads the apps; only the modules that they would be written in
are made, too. Each has a foreign key to the one before it in its app.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

from django.apps import AppConfig
from django.db import models

LABELS: Final = tuple(f"department{number:02}" for number in range(40))
MODELS: Final = 25


class Department(AppConfig):
    """One of the apps."""

    path = __file__

    def import_models(self) -> None:
        self.models = self.apps.all_models[self.label]
        for number in range(MODELS):
            if f"article{number:02}" not in self.models:
                contents = {"__module__": self.name, "name": models.CharField(max_length=20)}
                if number:
                    before = f"{self.label}.Article{number - 1:02}"
                    contents["before"] = models.ForeignKey(before, models.CASCADE)
                type(f"Article{number:02}", (models.Model,), contents)


for label in LABELS:
    name = f"{__package__}.{label}"
    sys.modules[name] = ModuleType(name)
    globals()[label] = type(label, (Department,), {"name": name, "__module__": __name__})

APPS: Final = [f"{__name__}.{label}" for label in LABELS]
