"""
The ``python`` that asks the server of ``tests.forking``: see there.

Started without site-packages, and it imports nothing that takes time.
"""

from __future__ import annotations

import _socket
import marshal
import os
import signal
import sys

HASH_SEED = "1"
"""That of the server, and so of each of its children."""

OTHERWISE = {"PYTHONDEVMODE", "PYTHONIOENCODING", "PYTHONPATH", "PYTHONUTF8", "COVERAGE_PROCESS_CONFIG"}
"""With these Python itself begins in another way."""


def main() -> None:
    arguments = sys.argv[1:]
    by_module = arguments[:1] == ["-m"] and len(arguments) > 1
    by_file = bool(arguments) and arguments[0].endswith(".py")
    seed = os.environ.get("PYTHONHASHSEED", HASH_SEED)
    if not (by_module or by_file) or seed != HASH_SEED or OTHERWISE & {*os.environ}:
        os.execv(sys.executable, [sys.executable, *arguments])
    passed_on = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    asking = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    asking.connect(f"{os.path.dirname(sys.argv[0])}/../socket")
    wanted = marshal.dumps((arguments, os.getcwd(), dict(os.environb)))
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    asking.sendmsg([len(wanted).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    sent = 0
    while sent < len(wanted):
        sent += asking.send(wanted[sent:])
    child = told(asking)
    for number in passed_on:
        signal.signal(number, lambda number, frame: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    code = os.waitstatus_to_exitcode(told(asking))
    if code < 0:
        if -code in passed_on:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def told(asking: _socket.socket) -> int:
    """A number of the server's: the child's, and then how that has ended."""
    number = asking.recv(4)
    if len(number) != 4:
        raise SystemExit("The server of tests.forking has ended.")
    return int.from_bytes(number, "big")


if __name__ == "__main__":
    main()
