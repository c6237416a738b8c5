"""Signed webhooks after Standard Webhooks 1.0.0: secrets, their rotation, the headers of one try.

After a rotation both secrets sign for a day. Secrets are kept by these names in whatever the owner seals.
"""

import datetime as dt
import os
from base64 import b64encode
from collections.abc import Mapping

from standardwebhooks.webhooks import Webhook

SIGNING, BEFORE, BEFORE_UNTIL = "signing", "signing_before", "signing_before_until"
PREFIX = "whsec_"
ROTATION = dt.timedelta(hours=24)


def new_signing_secret() -> str:
    return PREFIX + b64encode(os.urandom(32)).decode()


def rotated(secret: Mapping[str, str], now: dt.datetime) -> dict[str, str]:
    """A fresh signing secret; the one it replaces signs too for a day."""
    return {
        **secret,
        SIGNING: new_signing_secret(),
        BEFORE: secret[SIGNING],
        BEFORE_UNTIL: (now + ROTATION).isoformat(),
    }


def signing_secrets(secret: Mapping[str, str], at: dt.datetime) -> list[str]:
    """Those that sign at an instant, the newest first."""
    found = [secret[SIGNING]]
    if secret.get(BEFORE) and at < dt.datetime.fromisoformat(secret[BEFORE_UNTIL]):
        found.append(secret[BEFORE])
    return found


def signed_headers(
    message_id: str, at: dt.datetime, body: bytes, secrets: list[str]
) -> dict[str, str]:
    """One signature per secret. `message_id` stays through all tries, `at` is the try's own."""
    text = body.decode()
    # The library takes the wall clock of `at` as UTC, whatever its zone.
    moment = at.astimezone(dt.UTC)
    signatures = [Webhook(secret).sign(message_id, moment, text) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
