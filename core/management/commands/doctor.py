"""`manage.py doctor`: names what is missing, unreachable or misconfigured."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from core.doctor.checks import examine
from core.doctor.findings import Level


class Command(BaseCommand):
    """Prints one line per check and what to do; exit code 1 when something has failed."""

    help = "Check this installation: packages, data, secrets, PostgreSQL, Redis, workers, addresses, e-mail."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--json` for programs."""
        parser.add_argument("--json", action="store_true", help="print a JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine and print."""
        findings = examine()
        if options["json"]:
            self.stdout.write(json.dumps([finding.as_dict() for finding in findings], indent=1))
        else:
            style = {
                Level.OK: self.style.SUCCESS,
                Level.WARN: self.style.WARNING,
                Level.FAIL: self.style.ERROR,
            }
            for finding in findings:
                level = style[finding.level](f"{finding.level:<4}")
                self.stdout.write(f"{level} {finding.name}: {finding.detail}")
                if finding.advice:
                    self.stdout.write(f"     {finding.advice}")
        if any(finding.level is Level.FAIL for finding in findings):
            sys.exit(1)
