"""A Celery application of the example site. Its worker is ``celery -A tests.hosts.celery_app worker``."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

app = Celery("hosts", include=["tests.hosts.background"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


if os.environ.get("HOSTS_BROKER"):
    # Messages go through files: a real broker, which needs no server.
    folder = Path(os.environ["HOSTS_BROKER"])
    for name in ("messages", "processed", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    app.conf.update(
        broker_url="filesystem://",
        broker_transport_options={
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "processed_folder": str(folder / "processed"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.1,
        },
    )
