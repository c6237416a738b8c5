"""`manage.py import_rates FILE`: rates of currencies from a CSV, and the bills they are about converted again."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.errors import DomainError
from costs.billing.rate_changes import read_csv, set_rates


class Command(BaseCommand):
    help = (
        "Set what currencies are worth in US dollars from a CSV with the columns currency, valid_from, usd_per_unit and"
        " note. A rate of the same currency and day is replaced. What was billed before is converted again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the CSV, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = (
                sys.stdin.read()
                if options["file"] == "-"
                else Path(options["file"]).read_text(encoding="utf-8-sig")
            )
            rates = read_csv(text)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}") from None
        except DomainError as error:
            raise CommandError(error.detail) from None
        started = set_rates(rates=rates, now=timezone.now())
        self.stdout.write(
            f"{len(rates)} rates set; {len(started)} organisations' bills are converted again."
        )
