"""The example site's settings on real servers: ``make test-services`` starts them and says where they are."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
