"""``runserver``, which says at last where the site is and how to log in: also after each restart."""

from __future__ import annotations

from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand


class Command(RunserverCommand):
    def on_bind(self, server_port: int) -> None:
        super().on_bind(server_port)
        host = f"[{self.addr}]" if self._raw_ipv6 else self.addr
        site = self.style.SUCCESS(f"The site: {self.protocol}://{host}:{server_port}/")
        self.stdout.write(f"{site}  Its admin: admin / admin")
