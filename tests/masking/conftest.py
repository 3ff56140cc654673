"""The fixtures of the tests of recording: what is masked is what a trace has."""

from __future__ import annotations

from tests.recording.conftest import fresh_complaints, own_models, table

__all__ = ["fresh_complaints", "own_models", "table"]
