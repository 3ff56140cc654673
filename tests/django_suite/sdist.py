"""Django's own tests, of the version that is installed: from its sdist, which a wheel does not have."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/django-suite"


class SdistError(Exception):
    """The sdist cannot be had, or is not what the index says it is."""


def tests_folder() -> Path:
    """The folder with ``runtests.py`` of the installed Django; downloaded and unpacked once."""
    version = django.get_version()
    unpacked = CACHE / f"django-{version}"
    if not unpacked.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        archive = _download(version)
        # Under its name only when it is whole: an unpacking that was interrupted is done again.
        with tarfile.open(archive) as tar:
            tar.extractall(CACHE / "unpacking", filter="data")
        (CACHE / "unpacking" / f"django-{version}").rename(unpacked)
        archive.unlink()
    return unpacked / "tests"


def _download(version: str) -> Path:
    """The sdist as the index has it: pip says where it is and which hash it must have."""
    told = _pip("install", "--dry-run", "--ignore-installed", "--report", "-", *_only_sdist(version))
    (chosen,) = json.loads(told)["install"]
    link = chosen["download_info"]
    name, digest = link["url"].rpartition("/")[2], sha256_of(link)
    _pip("download", "--dest", str(CACHE), *_only_sdist(version))
    archive = CACHE / name
    check(archive, digest)
    return archive


def sha256_of(link: dict[str, Any]) -> str:
    """The hash in pip's report, without which nothing is unpacked."""
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


def _only_sdist(version: str) -> list[str]:
    return ["--no-deps", "--no-binary", "Django", f"Django=={version}"]


def _pip(*args: str) -> str:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SdistError(f"pip could not get the sdist of Django:\n{done.stderr.strip()}")
    return done.stdout
