"""Webhook channels, and for each of N users a budget of $10 with a rule at 50, 80 and 100 % that tells all of them.
Prints the rules' ids."""

import datetime as dt
import json
import sys

import django

SIGNING = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def main() -> int:
    """`python -m benchmarks.alert_seed N URL…` in the stack's environment."""
    django.setup()
    from django.utils import timezone

    from accounts.models import Organization
    from alerts.channels.secrets import seal_secret
    from alerts.models import Alert, AlertChannel, Channel
    from costs.models import Budget, BudgetChange

    number, urls = int(sys.argv[1]), sys.argv[2:]
    organization = Organization.objects.get(name="Bench")
    begun = timezone.now() - dt.timedelta(hours=1)
    channels = []
    for place, url in enumerate(urls):
        channel = Channel(organization=organization, kind="webhook", name=f"Channel {place}")
        secret = {"url": url, "signing": SIGNING}
        channel.secret = seal_secret(organization, channel.pk, secret)
        channel.save()
        channels.append(channel)
    rules = []
    for user in range(number):
        budget = Budget.objects.create(
            organization=organization, name=f"User {user}", scope="user", value=f"user-{user}", period="monthly",
            amount_usd=10,
        )  # fmt: skip
        BudgetChange.objects.create(budget=budget, valid_from=begun, amount_usd=10)
        alert = Alert.objects.create(
            organization=organization,
            name=f"Rule {user}",
            kind="budget",
            budget=budget,
            levels=[
                {"limit": "50", "severity": "info"},
                {"limit": "80", "severity": "warning"},
                {"limit": "100", "severity": "critical"},
            ],
        )
        AlertChannel.objects.bulk_create(AlertChannel(alert=alert, channel=one) for one in channels)
        rules.append(str(alert.pk))
    sys.stdout.write(json.dumps({"rules": rules, "channels": [str(one.pk) for one in channels]}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
