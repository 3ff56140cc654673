"""A server that can be taken away: it passes on what it gets to the real one, until it is told not to."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """
    Listens on a port of its own. ``cut()``: connections break, and new ones are refused; ``freeze()``:
    nothing more passes, and whoever connects gets no answer; ``restore()``: as at the beginning.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.passing = threading.Event()
        self.ended = False
        self.sockets: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.restore()

    def restore(self) -> None:
        if self.listener.fileno() == -1:
            self.listener = socket.create_server(("127.0.0.1", self.port))
        self.passing.set()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def freeze(self) -> None:
        self.passing.clear()

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes up accept()
        self.listener.close()
        self.passing.set()
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.passing.wait()
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
