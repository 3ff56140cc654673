"""``python -m example_site.services [--browser] -- COMMAND ...``: run a command beside the servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from example_site.services import Services, programs
from example_site.services.account import Failed

USAGE = "usage: python -m example_site.services [--browser] -- COMMAND ..."


def main(arguments: list[str]) -> int:
    """The command's exit code, or 2 with one line that says what is wrong."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    options, command = arguments[:place], arguments[place + 1 :]
    if not command or set(options) - {"--browser"}:
        return _refuse(USAGE)
    if not shutil.which(command[0]):
        return _refuse(f"There is no command {command[0]}.")
    try:
        programs.require(["postgresql", "mariadb", *(["browser"] if options else [])])
        with Services() as services:
            return _run(command, os.environ | services.environ)
    except (programs.Missing, Failed) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return 130


def _run(command: list[str], environ: dict[str, str]) -> int:
    process = subprocess.Popen(command, env=environ)
    try:
        return process.wait()
    except BaseException:
        # Ctrl-C in a terminal reached the command, too; SIGTERM did not. It may have something to tidy up.
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
