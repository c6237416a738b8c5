"""`manage.py seed_demo`: a demo organisation with a month of history, sent the way customers send
theirs.
"""

import logging
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.errors import DomainError
from costs.billing.demo_bill import refresh_bill
from examples.demo.seeding import Progress, send_history
from examples.demo.sender import RefusedError, Sender
from projects.demo import Demo, ensure_demo
from traces.demo import define_demo_scores, furnish_demo
from traces.signals import demo_seeded


class Command(BaseCommand):
    help = "Creates the demo organisation and sends thirty days of history to the running server. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url",
            default=settings.LLMLAB_BASE_URL,
            help="where LLMLab answers (default: LLMLAB_BASE_URL)",
        )
        parser.add_argument(
            "--traces", type=int, default=4500, help="how many traces the month has"
        )
        parser.add_argument(
            "--wait", type=float, default=120.0, help="seconds to wait for the server to answer"
        )
        parser.add_argument(
            "--accounts-only",
            action="store_true",
            help="create organisation, login, project and key; send nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line per request otherwise
        folder = settings.LLMLAB_DATA_DIR / "demo"
        demo = ensure_demo(folder=folder)
        if not options["accounts_only"]:
            self._send(
                demo, Progress(folder / "progress.json", self._history(demo, options)), options
            )
        self._say_login(demo, options["url"])

    @staticmethod
    def _history(demo: Demo, options: dict[str, Any]) -> str:
        return f"{demo.project.pk} {demo.project.created_at.isoformat()} {options['traces']}"

    def _send(self, demo: Demo, progress: Progress, options: dict[str, Any]) -> None:
        if not progress.is_complete:
            self._send_history(demo, progress, options)
        if not progress.is_furnished:
            furnish_demo(project=demo.project)
            progress.is_furnished = True
            progress.save()
        self._bill()
        demo_seeded.send(sender=Demo, project=demo.project, now=timezone.now())

    def _bill(self) -> None:
        """What the simulated providers charge for it, connected and read."""
        if not settings.LLMLAB_DEMO_SIMULATOR:
            return
        try:
            self._await_server(
                settings.LLMLAB_DEMO_SIMULATOR, 30.0, path="/simulator/billing/totals"
            )
            refresh_bill(now=timezone.now())
        except (CommandError, DomainError) as error:
            self.stdout.write(
                f"The demo has no bill for now; it is made again by the clock. {error}"
            )

    def _send_history(self, demo: Demo, progress: Progress, options: dict[str, Any]) -> None:
        self._await_server(options["url"], options["wait"])
        define_demo_scores(project=demo.project)
        started = time.monotonic()
        # By UUID: unlike a slug it names one project whatever else exists.
        with Sender(options["url"], str(demo.project.pk), demo.api_key) as sender:
            try:
                sent = send_history(
                    sender,
                    anchor=demo.project.created_at,
                    traces=options["traces"],
                    progress=progress,
                )
            except RefusedError as error:
                raise CommandError(f"{error} Run the command again to go on from here.") from error
        seconds = time.monotonic() - started
        self.stdout.write(f"Demo history: {sent} traces stored in {seconds:.1f} s.")

    @staticmethod
    def _await_server(url: str, patience: float, path: str = "/readyz") -> None:
        deadline = time.monotonic() + patience
        while True:
            try:
                with urllib.request.urlopen(f"{url}{path}", timeout=5):  # noqa: S310 (operator's URL)
                    return
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"No server is ready at {url} ({error}). Start it first, or give its address with --url."
                    ) from error
            time.sleep(0.5)

    def _say_login(self, demo: Demo, url: str) -> None:
        password = demo.password or "(changed by you)"
        self.stdout.write(f"Demo login: {url}/  e-mail {demo.email}  password {password}")
