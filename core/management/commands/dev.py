"""`manage.py dev`: what `make run` runs."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand
from django.utils import timezone

from core import partitions


class Command(BaseCommand):
    """Starts LLMLab with everything it needs on this machine."""

    help = "Start LLMLab with its own PostgreSQL and Redis, workers and demo (PORT, DEMO=0, DATABASE_URL, REDIS_URL)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--prepare` is the step between the services and the web processes."""
        parser.add_argument(
            "--prepare", action="store_true", help="only migrate and initialise, then end"
        )

    def handle(self, *args: Any, prepare: bool, **options: Any) -> None:
        """Prepare, or become the supervisor: it needs no Django, so the memory of this process is given back."""
        if prepare:
            self._prepare()
        else:
            self.stdout.flush()
            os.environ["LLMLAB_DATA_DIR"] = str(settings.LLMLAB_DATA_DIR)
            os.chdir(settings.BASE_DIR)
            os.execv(sys.executable, [sys.executable, "-m", "config.local"])  # noqa: S606

    def _prepare(self) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        partitions.ensure_ahead(timezone.now().date())
        asked = any(name.startswith("LLMLAB_INIT_") for name in os.environ)
        if asked and "init_llmlab" in get_commands():
            call_command("init_llmlab")
