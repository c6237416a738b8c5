"""What a question means: its vector and its anchors.

The vector comes from the operator's embeddings endpoint or, without one, from the offline lexical default, which knows
spelling and not meaning (traces.search.lexical): with it only near duplicates count.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from gateway.cache.anchors import anchors
from gateway.structs import CachePlan

# The offline default cannot tell neighbours apart below this.
LEAST_LEXICAL = 0.95
MAX_KEPT_VECTORS = 2_000


class Vector(NamedTuple):
    """A question's vector, and who made it."""

    model: str
    values: Sequence[float]


class Vectors:
    """The vectors of questions that were looked up lately in this process: what is stored after the answer is not
    computed (or paid) again. Used by the loop and the recorder's thread."""

    def __init__(self, limit: int = MAX_KEPT_VECTORS) -> None:
        self._kept: OrderedDict[str, Vector] = OrderedDict()
        self._lock, self._limit = Lock(), limit

    def of(self, plan: CachePlan) -> Vector | None:
        """The vector of the plan's question, if it was looked up here."""
        with self._lock:
            return self._kept.get(plan.key)

    def keep(self, plan: CachePlan, vector: Vector) -> None:
        """Until it is among the oldest."""
        with self._lock:
            self._kept[plan.key] = vector
            self._kept.move_to_end(plan.key)
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)


# This process's.
VECTORS = Vectors()


def anchors_of(question: str) -> str:
    """The hash of what two questions must have in common, whatever their vectors say: `CachedResponse.anchors`."""
    return hashlib.sha256("\x00".join(anchors(question)).encode()).hexdigest()
