"""One kept answer as it lies in PostgreSQL and Redis, sealed with the organisation's key."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

from core import crypto
from gateway.structs import CachePlan


class Contents(msgspec.Struct, array_like=True):
    """What is sealed: the answer in its wire, and what was asked (only for answers by meaning)."""

    answer: bytes
    question: str = ""


class Kept(msgspec.Struct, array_like=True):
    """A row, as far as a hit needs it; also the copy in Redis."""

    id: str
    sealed: bytes
    cost_usd: str  # empty: unknown
    created_at: float
    expires_at: float
    provider: str = ""
    model: str = ""  # that answered
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A kept answer that fits a call. `cost_usd` is what asking again would have cost: what the hit saves."""

    id: str
    kind: Literal["exact", "semantic"]
    answer: bytes  # unstreamed, in the calling dialect
    created_at: float
    cost_usd: Decimal | None = None
    provider: str = ""
    model: str = ""
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    similarity: float | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack_contents = msgspec.msgpack.Decoder(Contents).decode
pack_kept = _pack
unpack_kept = msgspec.msgpack.Decoder(Kept).decode


def context(project_id: UUID, key: str) -> bytes:
    """The associated data that ties a sealed answer to its project and key."""
    return b"gateway.cached:" + project_id.bytes + key.encode()


def seal_contents(cipher: crypto.Cipher, project_id: UUID, key: str, contents: Contents) -> bytes:
    """What to store in `CachedResponse.sealed`."""
    return crypto.seal(cipher, _pack(contents), context(project_id, key))


def open_contents(
    cipher: crypto.Cipher, project_id: UUID, key: str, sealed: bytes | memoryview
) -> Contents:
    """Raises core.crypto.DecryptionError."""
    return _unpack_contents(crypto.unseal(cipher, sealed, context(project_id, key)))


def is_fresh(kept: Kept, plan: CachePlan, now: float) -> bool:
    """Not expired, and not older than the call accepts."""
    return now < kept.expires_at and now < kept.created_at + plan.rule.ttl_s


def hit_of(
    kept: Kept,
    answer: bytes,
    *,
    kind: Literal["exact", "semantic"] = "exact",
    similarity: float | None = None,
) -> Hit:
    """The hit that a kept row is."""
    return Hit(
        id=kept.id,
        kind=kind,
        answer=answer,
        created_at=kept.created_at,
        cost_usd=Decimal(kept.cost_usd) if kept.cost_usd else None,
        provider=kept.provider,
        model=kept.model,
        finish_reason=kept.finish_reason,
        input_tokens=kept.input_tokens,
        output_tokens=kept.output_tokens,
        similarity=similarity,
    )
