"""
Mask the passwords and keys of the project in texts that are shown, kept or logged.

Drivers put what they were given into their errors: a connection string that they cannot parse is quoted
whole. So what an exception says may hold the password of a database.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dbroute_panel.masking import MASK

_NAMES = r"(?:password|passwd|pwd|passphrase|sslpassword|secret_?key|api_?key)"
# In a URL everything up to the last "@" may belong to a password that is not escaped.
_URL = re.compile(r"(?<!\w)(\w[\w+.-]{0,30}://)[^\s'\"<>]{0,500}@")
# ``password=...`` as connection strings have it, ``'password': '...'`` as a dict.
_VALUE = r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
_PAIR = re.compile(
    rf"""(?<!\w)({_NAMES}(?:\s*=\s*(?={_VALUE}|[^\s;&,'"])|["']\s*:\s*(?={_VALUE})))(?:{_VALUE}|[^\s;&,'"]+)""",
    re.IGNORECASE,
)
_SECRET = re.compile(_NAMES, re.IGNORECASE)


def mask_credentials(text: str) -> str:
    """Mask the project's passwords and keys in ``text``, and those in URLs and connection strings."""
    for secret in sorted({*_secrets()}, key=len, reverse=True):
        if secret in text:
            # A short one may be part of an ordinary word.
            whole = re.escape(secret) if len(secret) >= 8 else rf"(?<!\w){re.escape(secret)}(?!\w)"
            text = re.sub(whole, MASK, text)
    if "@" in text:
        text = _URL.sub(rf"\1{MASK}@", text)
    return _PAIR.sub(rf"\1{MASK}", text)


def log_exception(logger: logging.Logger, level: int, message: str, *args: object) -> None:
    """Log the exception being handled with its traceback; where that has credentials, as a masked text."""
    formatted = traceback.format_exc()
    masked = mask_credentials(formatted)
    if masked == formatted:
        logger.log(level, message, *args, exc_info=True)
    else:
        logger.log(level, "%s\n%s", mask_credentials(message % args), masked)


def _secrets() -> Iterator[str]:
    with suppress(ImproperlyConfigured):  # an empty SECRET_KEY
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
