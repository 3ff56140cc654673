"""A server of its own process and a client with cookies: HTTP as far as these tests need it."""

from __future__ import annotations

import http.cookiejar
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Page:
    def __init__(self, response: urllib.request.addinfourl | urllib.error.HTTPError) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()


class Browser:
    """Keeps cookies, sends the CSRF token, and expects 200."""

    def __init__(self, address: str, log: Path) -> None:
        self.address = address
        self.log = log
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> Page:
        return self._expect_200(path, None)

    def post(self, path: str, **data: str) -> Page:
        (token,) = (cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        return self._expect_200(path, {"csrfmiddlewaretoken": token or "", **data})

    def log_in(self, username: str, password: str) -> Page:
        self.get("/admin/login/")
        page = self.post("/admin/login/?next=/admin/", username=username, password=password)
        assert "Site administration" in page.text
        return page

    def wait_for(self, server: subprocess.Popen[bytes], path: str, *, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert server.poll() is None, f"The server ended.\n{self.log.read_text()}"
            try:
                self._request(path, None)
            except urllib.error.URLError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"no answer after {seconds} s\n{self.log.read_text()}")

    def _expect_200(self, path: str, data: Mapping[str, str] | None) -> Page:
        page = self._request(path, data)
        assert page.status == 200, (
            f"{path}: {page.status}\n{page.text[:2000]}\n{self.log.read_text()[-4000:]}"
        )
        return page

    def _request(self, path: str, data: Mapping[str, str] | None) -> Page:
        body = None if data is None else urllib.parse.urlencode(data).encode()
        request = urllib.request.Request(self.address + path, data=body)
        try:
            with self.opener.open(request, timeout=PATIENCE_SECONDS) as response:
                return Page(response)
        except urllib.error.HTTPError as error:
            with error:
                return Page(error)


@contextmanager
def served(
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    seconds: float = PATIENCE_SECONDS,
) -> Iterator[Browser]:
    """Run ``command``, which serves ``port``, until the block ends; everything it prints goes to ``log``."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        browser = Browser(f"http://127.0.0.1:{port}", log)
        browser.wait_for(server, "/admin/login/", seconds=seconds)
        yield browser
    finally:
        # The whole group: make has children, and runserver has its reloader.
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=PATIENCE_SECONDS)
