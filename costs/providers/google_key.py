"""A Google service account's key file, and the token it gets: a signed claim (RS256), no library of Google's."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from core.http import OutboundClient
from costs.providers.base import Permanent
from costs.providers.cloud import SignIn

AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
LIFETIME_S = 3_600


@dataclass(frozen=True)
class ServiceAccount:
    """What the key file says."""

    project_id: str
    private_key_id: str
    private_key: rsa.RSAPrivateKey
    client_email: str
    token_uri: str


def read_key(text: str) -> ServiceAccount:
    """The key file, checked. Raises Permanent without repeating any of it."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("type") != "service_account":
        raise Permanent(
            "The service account key is not the JSON file that Google Cloud gives out (`type` is service_account)."
        )
    for name in ("project_id", "private_key", "client_email"):
        if not isinstance(found.get(name), str) or not found[name].strip():
            raise Permanent(f"The service account key has no `{name}`: paste the whole file.")
    try:
        key = serialization.load_pem_private_key(found["private_key"].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Permanent(
            "The `private_key` of the service account key is no RSA key: paste the whole file."
        )
    return ServiceAccount(
        project_id=found["project_id"],
        private_key_id=str(found.get("private_key_id") or ""),
        private_key=key,
        client_email=found["client_email"],
        token_uri=str(found.get("token_uri") or AUDIENCE),
    )


def fetch_token(client: OutboundClient, key: ServiceAccount) -> str:
    """A fresh access token. Raises Permanent for a key that Google refuses, Retryable."""
    hints = {"invalid_grant": "The key was deleted, or this server's clock is wrong."}
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": signed_claim(key, now=int(time.time())),
    }
    return SignIn(client, "Google's sign-in", hints).token(key.token_uri, form)


def signed_claim(key: ServiceAccount, *, now: int) -> str:
    """The JSON web token that says who asks for what; good for an hour."""
    header = {"typ": "JWT", "alg": "RS256", "kid": key.private_key_id}
    claims = {
        "iss": key.client_email,
        "scope": SCOPE,
        # Google wants its own address here, whatever the key file's token_uri is.
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + LIFETIME_S,
    }
    signed = f"{_part(header)}.{_part(claims)}"
    signature = key.private_key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_encoded(signature)}"


def _part(document: dict[str, Any]) -> str:
    return _encoded(json.dumps(document, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
