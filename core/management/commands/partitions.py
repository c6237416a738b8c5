"""`manage.py partitions`: see the day partitions, or make the next ones."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from core import partitions


class Command(BaseCommand):
    """Lists the day partitions of every partitioned table; `--ensure` makes the ones of the next days."""

    help = "List the day partitions of the growing tables; --ensure makes those of the next days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--ensure`: what beat does every hour."""
        parser.add_argument(
            "--ensure", action="store_true", help="make the missing partitions of the next days"
        )

    def handle(self, *args: Any, ensure: bool, **options: Any) -> None:
        """One line per table."""
        today = timezone.now().date()
        if ensure:
            self.stdout.write(f"{partitions.ensure_ahead(today)} made")
        for table in partitions.registered_tables():
            days = sorted(partitions.existing_days(table))
            ahead = sum(day > today for day in days)
            span = f"{days[0]} to {days[-1]}" if days else "none"
            self.stdout.write(f"{table}: {len(days)} days ({span}), {ahead} ahead")
