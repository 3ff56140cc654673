"""What a page must not do, whatever a test looks at: say something, fail, or load what it may not."""

from __future__ import annotations

import re
import time

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

TIMEOUT = 60_000  # ms; generous, because another process may have the processor
MOMENT = 500  # ms
# Laid out first: a picture in a style sheet is asked for when it is known what has that style.
STATE = "document.documentElement.getBoundingClientRect() && document.readyState"


class Watch:
    """
    Listens to every page of a context.

    Chromium itself says on the console that a policy was violated, with JavaScript or without. It also says
    there that a response was no success: a test that asks for such a page says so with ``expect()``.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected: list[re.Pattern[str]] = []
        self.open: set[Request] = set()
        self.last = time.monotonic()

    def listen_to(self, context: BrowserContext) -> None:
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complain(f"error: {error.error}"))
        context.on("request", self._on_request)
        context.on("requestfinished", self._on_end)
        context.on("requestfailed", self._on_request_failed)
        context.on("response", self._on_response)

    def wait_until_quiet(self, page: Page, *, timeout: float = TIMEOUT) -> None:
        """
        Until ``page`` is loaded, every request has ended, and for a moment none has begun.

        Not Playwright's ``networkidle``, which a slow page may never reach: where it is idle, asks for more,
        gets it, and only then is loaded, Playwright takes the idleness back and looks no more.
        """
        end = time.monotonic() + timeout / 1000
        # What has begun is known before the answer to a question that is asked later.
        while page.evaluate(STATE) != "complete" or self.open or self._since_the_last() < MOMENT:
            if time.monotonic() > end:
                still = ", ".join(sorted(f"{request.method} {request.url}" for request in self.open))
                raise AssertionError(
                    f"{page.url} is not quiet after {timeout} ms; still open: {still or 'nothing'}"
                )
            page.wait_for_timeout(MOMENT / 10)

    def expect(self, pattern: str) -> None:
        """A complaint in which this is found is none."""
        self.expected.append(re.compile(pattern))

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    @property
    def unexpected(self) -> list[str]:
        return [
            complaint
            for complaint in self.complaints
            if not any(pattern.search(complaint) for pattern in self.expected)
        ]

    def _since_the_last(self) -> float:
        """Milliseconds since a request began or ended."""
        return (time.monotonic() - self.last) * 1000

    def _on_console(self, message: ConsoleMessage) -> None:
        self.complain(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        self.open.add(request)
        self.last = time.monotonic()

    def _on_end(self, request: Request) -> None:
        self.open.discard(request)
        self.last = time.monotonic()

    def _on_request_failed(self, request: Request) -> None:
        self._on_end(request)
        # A page that is left while something is on its way, and a download, which is no page.
        if request.failure != "net::ERR_ABORTED":
            self.complain(f"failed: {request.method} {request.url} {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.complain(f"status {response.status}: {response.request.method} {response.url}")
