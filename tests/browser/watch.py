"""What a page must not do, whatever a test looks at: say something, fail, or load what it may not."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response


class Watch:
    """
    Listens to every page of a context.

    Chromium itself says on the console that a policy was violated, with JavaScript or without. It also says
    there that a response was no success: a test that asks for such a page says so with ``expect()``.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected: list[re.Pattern[str]] = []

    def listen_to(self, context: BrowserContext) -> None:
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complain(f"error: {error.error}"))
        context.on("requestfailed", self._on_request_failed)
        context.on("response", self._on_response)

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

    def _on_console(self, message: ConsoleMessage) -> None:
        self.complain(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request_failed(self, request: Request) -> None:
        # A page that is left while something is on its way, and a download, which is no page.
        if request.failure != "net::ERR_ABORTED":
            self.complain(f"failed: {request.method} {request.url} {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.complain(f"status {response.status}: {response.request.method} {response.url}")
