"""The servers: each started once for all tests here, with a store that is empty when a test begins."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator

import pytest

from tests.hosts.servers import COMPLAINTS, Server


@pytest.fixture(scope="session")
def start_server(site_template, tmp_path_factory):
    """Starts a server when it is first asked for, by name; all are stopped at the end."""
    servers: dict[str, Server] = {}

    def start(name: str, **options: str) -> Server:
        if name not in servers:
            folder = tmp_path_factory.mktemp(name)
            shutil.copytree(site_template, folder / "data")
            servers[name] = Server(name, folder, **options)
        return servers[name]

    yield start
    for server in servers.values():
        server.stop()


def _used(server: Server) -> Iterator[Server]:
    server.store.clear()
    before = server.log.stat().st_size
    yield server
    log = server.log.read_bytes()[before:].decode(errors="replace")
    assert not [complaint for complaint in COMPLAINTS if complaint in log], log
    assert server.process.poll() is None, log


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(request, start_server) -> Iterator[Server]:
    """Each of the servers."""
    yield from _used(start_server(request.param))


@pytest.fixture
def asgi_server(start_server) -> Iterator[Server]:
    yield from _used(start_server("uvicorn"))


@pytest.fixture
def wsgi_server(start_server) -> Iterator[Server]:
    yield from _used(start_server("gunicorn"))


@pytest.fixture
def demo(start_server) -> Iterator[Server]:
    """The example site itself, as ``make demo`` serves it."""
    server = start_server("runserver", settings="example_site.settings")
    server.wait_until_it_answers()
    yield from _used(server)


@pytest.fixture
def marker() -> str:
    """What the queries of one request have as their parameter."""
    return uuid.uuid4().hex
