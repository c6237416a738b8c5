"""Envelope encryption: each organisation has a data key, wrapped by the operator's LLMLAB_ENCRYPTION_KEYS.

AES-256-GCM (cryptography). The first master key wraps, all of them unwrap, so a rotation adds a key in front and
re-wraps at leisure. Associated data ties a ciphertext to its row: moved elsewhere it no longer opens.
"""

import base64
import binascii
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

NONCE_BYTES = 12
_WRAP_CONTEXT = b"llmlab.data_key.v1"


class DecryptionError(Exception):
    """The ciphertext was altered, moved, or no configured key opens it."""


@lru_cache(maxsize=8)
def _master(encoded: str) -> AESGCM:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured(
            "Each of LLMLAB_ENCRYPTION_KEYS must be 32 bytes in base64; make one with: openssl rand -base64 32"
        )
    return AESGCM(key)


def _masters() -> list[AESGCM]:
    if not settings.LLMLAB_ENCRYPTION_KEYS:
        raise ImproperlyConfigured(
            "Set LLMLAB_ENCRYPTION_KEYS (32 bytes in base64, comma-separated, newest first)."
        )
    return [_master(encoded) for encoded in settings.LLMLAB_ENCRYPTION_KEYS]


def new_data_key() -> bytes:
    """A fresh data key, wrapped for storage in `Organization.data_key`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _masters()[0].encrypt(nonce, AESGCM.generate_key(256), _WRAP_CONTEXT)


@lru_cache(maxsize=256)
def _unwrapped(wrapped: bytes, masters: tuple[str, ...]) -> AESGCM:
    nonce, body = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    for encoded in masters:
        try:
            return AESGCM(_master(encoded).decrypt(nonce, body, _WRAP_CONTEXT))
        except InvalidTag:
            continue
    raise DecryptionError("No key in LLMLAB_ENCRYPTION_KEYS opens this organisation's data key.")


def data_cipher(wrapped: bytes | memoryview) -> AESGCM:
    """The cipher of one organisation; raises DecryptionError when no master key opens it."""
    return _unwrapped(bytes(wrapped), tuple(settings.LLMLAB_ENCRYPTION_KEYS))


def seal(cipher: AESGCM, plain: bytes, context: bytes) -> bytes:
    """nonce ‖ ciphertext ‖ tag."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, context)


def unseal(cipher: AESGCM, sealed: bytes | memoryview, context: bytes) -> bytes:
    """The reverse of `seal`; raises DecryptionError."""
    blob = bytes(sealed)
    try:
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
    except InvalidTag:
        raise DecryptionError(
            "This content cannot be decrypted with the configured keys."
        ) from None
