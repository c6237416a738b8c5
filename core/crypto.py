"""Envelope encryption: each organisation has a data key, wrapped by the operator's LLMLAB_ENCRYPTION_KEYS.

AES-256-GCM (cryptography). The first master key wraps, all of them unwrap, so a rotation adds a key in front and
re-wraps at leisure. A stored data key is one or more wrapped keys in a row, newest first: the first seals, all open,
so a new data key works at once while old content is sealed again in the background. Associated data ties a ciphertext
to its row: moved elsewhere it no longer opens.
"""

import base64
import binascii
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

NONCE_BYTES = 12
# Nonce, 32 bytes of key, tag.
WRAPPED_BYTES = NONCE_BYTES + 32 + 16
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


class DataKeys:
    """An organisation's keys with the interface of AESGCM: the newest encrypts, each of them may decrypt."""

    def __init__(self, keys: Sequence[AESGCM]) -> None:
        self.newest, self.older = keys[0], tuple(keys[1:])
        self.encrypt = self.newest.encrypt

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Raises cryptography's InvalidTag when none of the keys opens it."""
        try:
            return self.newest.decrypt(nonce, data, associated_data)
        except InvalidTag:
            for key in self.older:
                with suppress(InvalidTag):
                    return key.decrypt(nonce, data, associated_data)
            raise


Cipher = AESGCM | DataKeys


def new_data_key() -> bytes:
    """A fresh data key, wrapped for storage in `Organization.data_key`."""
    return _wrap(AESGCM.generate_key(256))


def _wrap(key: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _masters()[0].encrypt(nonce, key, _WRAP_CONTEXT)


def _parts(wrapped: bytes) -> list[bytes]:
    return [wrapped[at : at + WRAPPED_BYTES] for at in range(0, len(wrapped), WRAPPED_BYTES)]


def _unwrap(part: bytes, masters: tuple[str, ...]) -> bytes:
    nonce, body = part[:NONCE_BYTES], part[NONCE_BYTES:]
    for encoded in masters:
        with suppress(InvalidTag):
            return _master(encoded).decrypt(nonce, body, _WRAP_CONTEXT)
    raise DecryptionError("No key in LLMLAB_ENCRYPTION_KEYS opens this organisation's data key.")


@lru_cache(maxsize=256)
def _unwrapped(wrapped: bytes, masters: tuple[str, ...]) -> Cipher:
    keys = [AESGCM(_unwrap(part, masters)) for part in _parts(wrapped)]
    return keys[0] if len(keys) == 1 else DataKeys(keys)


def data_cipher(wrapped: bytes | memoryview) -> Cipher:
    """The cipher of one organisation; raises DecryptionError when no master key opens it."""
    return _unwrapped(bytes(wrapped), tuple(settings.LLMLAB_ENCRYPTION_KEYS))


_REWRAPS: list[Callable[[], int]] = []


def on_rewrap(seal_again: Callable[[], int]) -> None:
    """Called from an app's `ready`. `seal_again` seals what `master_cipher` sealed once more, with today's first master
    key, in the caller's transaction, and says how many rows that were."""
    if seal_again not in _REWRAPS:
        _REWRAPS.append(seal_again)


def rewrap_all() -> int:
    """Everything registered. Raises DecryptionError."""
    return sum(seal_again() for seal_again in _REWRAPS)


def master_cipher() -> Cipher:
    """For what belongs to the operator and no organisation: the first master key seals, all of them open."""
    return DataKeys(_masters())


def with_new_key(wrapped: bytes | memoryview) -> bytes:
    """The stored data key with a fresh key in front; what was sealed before still opens."""
    return new_data_key() + bytes(wrapped)


def newest_only(wrapped: bytes | memoryview) -> bytes:
    """The stored data key without its older keys: what they sealed no longer opens."""
    return bytes(wrapped)[:WRAPPED_BYTES]


def key_count(wrapped: bytes | memoryview) -> int:
    """How many keys are in use: more than one while a rotation is under way."""
    return len(bytes(wrapped)) // WRAPPED_BYTES


def rewrapped(wrapped: bytes | memoryview) -> bytes:
    """The same keys, wrapped by today's first master key; raises DecryptionError."""
    masters = tuple(settings.LLMLAB_ENCRYPTION_KEYS)
    return b"".join(_wrap(_unwrap(part, masters)) for part in _parts(bytes(wrapped)))


def seal(cipher: Cipher, plain: bytes, context: bytes) -> bytes:
    """nonce ‖ ciphertext ‖ tag."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, context)


def unseal(cipher: Cipher, sealed: bytes | memoryview, context: bytes) -> bytes:
    """The reverse of `seal`; raises DecryptionError."""
    blob = bytes(sealed)
    try:
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
    except InvalidTag:
        raise DecryptionError(
            "This content cannot be decrypted with the configured keys."
        ) from None
