"""A key file like Google's, made up for the demo: it opens nothing but the simulator beside it."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def service_account_key(simulator_url: str) -> str:
    """A fresh one, whose tokens come from the simulator."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "fernhill-support",
            "private_key_id": "demo",
            "private_key": pem.decode(),
            "client_email": "bills@fernhill-support.example",
            "token_uri": f"{simulator_url}/google/token",
        }
    )
