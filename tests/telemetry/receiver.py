"""An OTLP/HTTP receiver on a loopback port, which reads what arrives with the official messages."""

from __future__ import annotations

import gzip
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.waiting import PATIENCE_SECONDS


class Receiver:
    """``spans``, ``resources``, ``requests``: what arrived. ``statuses``: to answer with, afterwards 200."""

    def __init__(self) -> None:
        self.spans = []
        self.resources = []
        self.requests = []
        self.statuses = []
        self.hold = threading.Event()
        self.hold.set()
        self.arrived = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.arrived.set()
                receiver.hold.wait(PATIENCE_SECONDS)
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.take(self, body, status)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"

    def take(self, handler, body, status):
        self.requests.append((handler.path, handler.headers["Content-Type"], status))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if status == 200:
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(resource_spans.resource)
                for scope_spans in resource_spans.scope_spans:
                    assert scope_spans.scope.name == "dbroute_panel"
                    self.spans.extend(scope_spans.spans)

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(PATIENCE_SECONDS)


def dead_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def silent():
    """An endpoint that accepts and never answers, and an event: whether it was asked."""
    asked = threading.Event()
    taken = []

    def accept():
        with suppress(OSError):
            while True:
                taken.append(server.accept()[0])
                asked.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces", asked
        server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE_SECONDS)
    for connection in taken:
        connection.close()
