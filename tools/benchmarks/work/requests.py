"""Make requests through WSGI, as a server does."""

from __future__ import annotations

import gc
from functools import cache
from time import process_time
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.core.wsgi import get_wsgi_application

from tools.benchmarks.variants import VARIANTS

application = cache(get_wsgi_application)


def one(path: str) -> tuple[dict[str, str], float, float]:
    """
    Make one request: (headers, processor seconds until the client has its answer, seconds of closing it).
    """
    environ: dict[str, Any] = {"PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    answered: list[Any] = []
    start = process_time()
    response = application()(environ, lambda status, headers: answered.extend((status, headers)))
    size = sum(map(len, response))
    sent = process_time()
    response.close()
    end = process_time()
    if not answered[0].startswith("200") or not size:
        raise RuntimeError(f"{path}: {answered[0]}")
    return dict(answered[1]), sent - start, end - sent


def round_of(variant: str, queries: int, requests: int) -> dict[str, float]:
    """
    Return the processor microseconds a query, while the client waits (``request``) and later (``after``).
    """
    gc.collect()
    waited = after = 0.0
    for _ in range(requests):
        _, request, closing = one(f"/books/{queries}/")
        waited += request
        after += closing
    start = process_time()
    VARIANTS[variant].settle()
    after += process_time() - start
    each = 1e6 / (queries * requests)
    return {"request": waited * each, "after": after * each, "total": (waited + after) * each}
