"""``python -m example_site.services``: what it starts ends with it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent


def beside_servers(script: str) -> subprocess.Popen[str]:
    """A shell that runs ``script`` beside servers of its own, in a session of its own as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "example_site.services", "--", "sh", "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(folder: Path) -> list[str]:
    """The command lines in which the folder occurs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_a_command_ends_and_its_exit_code_is_handed_on():
    runner = beside_servers('echo "$EXAMPLE_SITE_DATABASES $EXAMPLE_SITE_DATA"; exit 7')
    out, err = runner.communicate(timeout=PATIENCE_SECONDS)
    assert (runner.returncode, err) == (7, "")
    configuration, _, site = out.strip().partition(" ")
    assert configuration == "services"
    folder = Path(site).parent
    assert not folder.exists()
    assert processes_of(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_behind(number, code):
    runner = beside_servers('echo "$EXAMPLE_SITE_DATA"; exec sleep 300')
    folder = Path(runner.stdout.readline().strip()).parent
    assert folder.is_dir()
    running = processes_of(folder)
    assert len([line for line in running if "mariadbd" in line]) == 1
    assert len([line for line in running if "postgres" in line and "-D" in line]) == 3
    # To the runner alone, as a service manager does; Ctrl-C in a terminal goes to its command as well.
    os.kill(runner.pid, number)
    runner.communicate(timeout=PATIENCE_SECONDS)
    assert runner.returncode == code
    assert not folder.exists()
    assert processes_of(folder) == []


def test_a_signal_while_the_servers_start_leaves_nothing_behind(tmp_path):
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    tmp_path.chmod(0o755)
    runner = subprocess.Popen(
        [sys.executable, "-m", "example_site.services", "--", "true"], cwd=ROOT, env=environ
    )
    while not processes_of(tmp_path):
        assert runner.poll() is None
    runner.terminate()
    assert runner.wait(timeout=PATIENCE_SECONDS) == 143
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []
