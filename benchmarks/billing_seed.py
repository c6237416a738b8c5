"""Connections to every billing API of the simulator, and a history of all of them started. Prints the account ids."""

import datetime as dt
import json
import sys

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def key_file(url: str) -> str:
    """A service account's key as Google hands it out."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "bench",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "bills@bench.example",
            "token_uri": f"{url}/google/token",
        }
    )


def accesses(url: str) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Credentials and settings by provider."""
    return {
        "openai": ({"admin_key": "sk-admin-benchmark-1234567890"}, {"base_url": f"{url}/v1"}),
        "anthropic": ({"admin_key": "sk-ant-admin01-benchmark-123456"}, {"base_url": url}),
        "azure": (
            {"client_secret": "s3cret-of-the-benchmark"},
            {
                "tenant_id": "11111111-2222-3333-4444-555555555555",
                "client_id": "app",
                "scope": "subscriptions/0000",
                "login_url": url,
                "base_url": f"{url}/",
            },
        ),
        "google": (
            {"service_account_key": key_file(url)},
            {"dataset": "billing", "base_url": url, "days": "utc"},
        ),
    }


def main() -> int:
    """`python -m benchmarks.billing_seed SIMULATOR_URL FIRST_DAY` in the stack's environment."""
    django.setup()
    from django.utils import timezone

    from accounts.models import Organization
    from core.ids import uuid7
    from costs.billing.sync import start_sync
    from costs.models import BillingAccount
    from projects.connections import seal_credentials
    from projects.models import ProviderConnection

    url, first_day = sys.argv[1], dt.date.fromisoformat(sys.argv[2])
    organization = Organization.objects.get(name="Bench")
    found = {}
    for provider, (credentials, settings) in accesses(url).items():
        identity = uuid7()
        connection = ProviderConnection.objects.create(
            id=identity,
            organization=organization,
            provider=provider,
            name=provider,
            credentials=seal_credentials(organization, identity, credentials),
            settings=settings,
        )
        account = BillingAccount.objects.create(
            connection=connection, organization=organization, history_from=first_day
        )
        start_sync(account=account, kind="backfill", now=timezone.now())
        found[provider] = str(account.pk)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
