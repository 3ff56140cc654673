"""Tests that are in an sdist and not in the wheel: downloaded from the index, and unpacked once."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class SdistError(Exception):
    """The sdist is not available, or is not what the index says."""


def sdist(project: str, version: str, cache: Path) -> Path:
    """Return the folder with the sdist of this version; nothing of it is committed."""
    unpacked = cache / f"{normal(project)}-{version}"
    if not unpacked.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        archive = _download(project, version, cache)
        # Under its name only when it is whole: an unpacking that was interrupted is done again.
        unpacking = cache / f"unpacking-{normal(project)}"
        with tarfile.open(archive) as tar:
            tar.extractall(unpacking, filter="data")
        (folder,) = (path for path in unpacking.iterdir() if path.name.endswith(f"-{version}"))
        folder.rename(unpacked)
        unpacking.rmdir()
        archive.unlink()
    return unpacked


def normal(project: str) -> str:
    """Normalise a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()


def _download(project: str, version: str, cache: Path) -> Path:
    """Download the sdist; pip says where it is and which hash it must have."""
    only = ["--no-deps", "--no-binary", project, f"{project}=={version}"]
    told = pip("install", "--dry-run", "--ignore-installed", "--report", "-", *only)
    (chosen,) = json.loads(told)["install"]
    link = chosen["download_info"]
    name, digest = link["url"].rpartition("/")[2], sha256_of(link)
    pip("download", "--dest", str(cache), *only)
    archive = cache / name
    check(archive, digest)
    return archive


def sha256_of(link: dict[str, Any]) -> str:
    """Return the hash in pip's report; without one, raise ``SdistError``."""
    digest: str | None = link["archive_info"].get("hashes", {}).get("sha256")
    if digest is None:
        raise SdistError(f"The index gives no SHA-256 of {link['url']}: nothing to check it against.")
    return digest


def check(archive: Path, digest: str) -> None:
    """Raise ``SdistError`` unless the file has this SHA-256; it is removed then."""
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != digest:
        archive.unlink()
        raise SdistError(f"{archive.name} has the SHA-256 {found}, the index says {digest}. It was removed.")


def pip(*args: str) -> str:
    """Return pip's output; raise ``SdistError`` with its error output if it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SdistError(f"pip {' '.join(args)}\n{done.stderr.strip()}")
    return done.stdout
