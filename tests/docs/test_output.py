"""What an output may have otherwise than its page, and what not."""

from __future__ import annotations

import pytest

from tests.docs.output import same


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("It failed: OperationalError: no such table: x", "It failed: OperationalError: x is not there"),
        ("(#1) and failed (ValueError: a). Let it be.", "(#1) and failed (ValueError: (b)). Let it be."),
        ("ImproperlyConfigured: a\nmore", "ImproperlyConfigured: b\nmore"),
        ("trace 0123456789abcdef0123456789abcdef 0.5", "trace fedcba9876543210fedcba9876543210 12.25"),
    ],
)
def test_what_is_anothers_each_time_is_the_same(shown, printed):
    assert same(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("OperationalError: no such table", "ProgrammingError: no such table"),
        ("failed (ValueError: a). Let it be.", "failed (ValueError: a). Take it away."),
        ("CommandError: 1 finding", "CommandError: 2 findings"),
        ("ValueError: a\nmore", "ValueError: a\nless"),
    ],
)
def test_what_is_ours_is_compared(shown, printed):
    assert not same(shown, printed)
