"""Wrap every organisation's data key with the first of LLMLAB_ENCRYPTION_KEYS, so that older master keys can go."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.models import Organization
from core.crypto import rewrap_all, rewrapped


class Command(BaseCommand):
    help = "Wrap all data keys with the newest of LLMLAB_ENCRYPTION_KEYS (run after adding one in front)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Each organisation in a transaction of its own; contents are not touched."""
        count = 0
        for pk in Organization.objects.values_list("pk", flat=True):
            with transaction.atomic():
                organization = Organization.objects.select_for_update().get(pk=pk)
                organization.data_key = rewrapped(organization.data_key)
                organization.save(update_fields=["data_key", "updated_at"])
            count += 1
        with transaction.atomic():
            others = rewrap_all()
        self.stdout.write(f"{count} data keys are wrapped with the newest master key.")
        if others:
            self.stdout.write(f"{others} secrets of the operators are sealed with it.")
