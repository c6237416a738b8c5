"""Every account that no sync is open for reads its whole history once more (one that was given up goes on)."""

import datetime as dt
import json
import sys

import django


def main() -> int:
    """`python -m benchmarks.billing_again FIRST_DAY only|resume` in the stack's environment; prints what it started."""
    django.setup()
    from django.utils import timezone

    from core.errors import ConflictError
    from costs.billing.sync import OPEN, resume_sync, start_sync
    from costs.models import BillingAccount, ProviderSync

    first_day, wanted = dt.date.fromisoformat(sys.argv[1]), sys.argv[2]
    started = {"again": 0, "resumed": 0}
    for account in BillingAccount.objects.exclude(syncs__state__in=OPEN).select_related(
        "connection"
    ):
        last = ProviderSync.objects.filter(account=account).latest("updated_at")
        try:
            if last.state == ProviderSync.State.FAILED:
                resume_sync(sync=last, now=timezone.now())
                started["resumed"] += 1
            elif wanted == "again":
                start_sync(
                    account=account, kind="backfill", first_day=first_day, now=timezone.now()
                )
                started["again"] += 1
        except ConflictError:
            continue
    sys.stdout.write(json.dumps(started) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
