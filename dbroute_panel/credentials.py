"""
Does a text give away how to get into one of the project's databases?

Drivers put into their errors what they were given: a connection string that they do not understand is
quoted whole. So whatever an exception says is shown, kept or logged without the project's passwords.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

MASK: Final = "***"

_NAMES = r"(?:password|passwd|pwd|passphrase|sslpassword|secret_?key|api_?key)"
# In a URL everything up to its last "@" may belong to the password, which somebody forgot to escape.
_URL = re.compile(r"(?<!\w)(\w[\w+.-]{0,30}://)[^\s'\"<>]{0,500}@")
# ``password=...`` as connection strings have it, ``'password': '...'`` as a dict.
_VALUE = r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
_PAIR = re.compile(
    rf"""(?<!\w)({_NAMES}(?:\s*=\s*(?={_VALUE}|[^\s;&,'"])|["']\s*:\s*(?={_VALUE})))(?:{_VALUE}|[^\s;&,'"]+)""",
    re.IGNORECASE,
)
_SECRET = re.compile(_NAMES, re.IGNORECASE)


def without_credentials(text: str) -> str:
    """``text`` without the project's passwords and keys, and without those in URLs and connection strings."""
    for secret in sorted({*_secrets()}, key=len, reverse=True):
        if secret in text:
            # A short one may be part of an ordinary word.
            whole = re.escape(secret) if len(secret) >= 8 else rf"(?<!\w){re.escape(secret)}(?!\w)"
            text = re.sub(whole, MASK, text)
    if "@" in text:
        text = _URL.sub(rf"\1{MASK}@", text)
    return _PAIR.sub(rf"\1{MASK}", text)


def log_handled(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Log the exception being handled with its traceback; as a text, masked, where that has credentials."""
    told = traceback.format_exc()
    masked = without_credentials(told)
    if masked == told:
        logger.log(level, message, *args, exc_info=True)
    else:
        logger.log(level, "%s\n%s", without_credentials(message % args), masked)


def _secrets() -> Iterator[str]:
    with suppress(ImproperlyConfigured):  # what Django says of an empty one
        yield from _texts([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])
    for database in settings.DATABASES.values():
        yield from _texts([database.get("PASSWORD")])
        options = database.get("OPTIONS") or {}
        yield from _texts([value for name, value in options.items() if _SECRET.fullmatch(str(name))])


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(text, str) and text:
            yield text
