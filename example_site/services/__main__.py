"""``python -m example_site.services [--browser] -- COMMAND ...``: run a command beside the servers."""

from __future__ import annotations

import os
import subprocess
import sys

from example_site.services import Services, missing, programs
from example_site.services.account import Failed

USAGE = "usage: python -m example_site.services [--browser] -- COMMAND ..."


def main(arguments: list[str]) -> int:
    """The command's exit code, or 2 with one line that says what is wrong."""
    options, separator, command = _split(arguments)
    if not separator or not command or set(options) - {"--browser"}:
        return _refuse(USAGE)
    needed = ["postgresql", "mariadb", *(["chromium"] if "--browser" in options else [])]
    if lacking := missing(needed):
        return _refuse(lacking)
    environ = os.environ.copy()
    if "--browser" in options:
        environ["EXAMPLE_SITE_BROWSER"] = str(programs.browser())
    try:
        with Services() as services:
            return _run(command, environ | services.environ)
    except Failed as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return 130


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return arguments, False, []
    place = arguments.index("--")
    return arguments[:place], True, arguments[place + 1 :]


def _run(command: list[str], environ: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env=environ)
    except OSError as error:
        return _refuse(f"{command[0]}: {error.strerror}")
    try:
        return process.wait()
    except BaseException:
        # Ctrl-C reached the command, too, and it may have something to tidy up. SIGTERM did not.
        process.terminate()
        process.wait(timeout=30)
        raise


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
