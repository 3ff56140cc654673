"""
Several requests to this site at once, as a server would hand them to it: under WSGI and under ASGI.

Both return the response headers of each request, in the order of ``paths``; its content is read and closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

# From an address that the debug toolbar does not know.
ELSEWHERE = "192.0.2.1"

Headers = dict[str, str]


def under_wsgi(paths: Iterable[str]) -> list[Headers]:
    """Each on a thread."""
    application = get_wsgi_application()

    def request(path: str) -> Headers:
        found: Headers = {}

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            found.update(headers)

        environ: dict[str, Any] = {"PATH_INFO": path, "REMOTE_ADDR": ELSEWHERE}
        setup_testing_defaults(environ)
        response = application(environ, start_response)
        try:
            for _ in response:
                pass
        finally:
            response.close()
        return found

    with ThreadPoolExecutor(max_workers=8) as threads:
        return list(threads.map(request, paths))


def under_asgi(paths: Iterable[str]) -> list[Headers]:
    """All in one event loop."""
    application = get_asgi_application()

    async def request(path: str) -> Headers:
        found: Headers = {}
        received = iter([{"type": "http.request"}])

        async def receive() -> dict[str, Any]:
            for message in received:
                return message
            await asyncio.Event().wait()  # the client stays
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            for name, value in message.get("headers", ()):
                found[name.decode()] = value.decode()

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "client": (ELSEWHERE, 0),
        }
        await application(scope, receive, send)
        return found

    async def requests() -> list[Headers]:
        return await asyncio.gather(*(request(path) for path in paths))

    return asyncio.run(requests())
