"""What detectors collect: dollars per reason, and the dearest calls behind (pure)."""

import hashlib
import heapq
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from traces.waste.calls import ZERO, Call

MAX_SAMPLES = 20
MAX_FINDINGS = 200
QUANTUM = Decimal("1e-12")


@dataclass
class Finding:
    """One reason on one day. `fingerprint` is what it is known by on other days, too."""

    kind: str
    fingerprint: str = ""
    provider: str = ""
    model: str = ""
    agent: str = ""
    feature: str = ""
    detail: str = ""
    calls: int = 0
    cost_usd: Decimal = ZERO
    wasted_usd: Decimal = ZERO
    samples: list[tuple[Decimal, str, str, str]] = field(default_factory=list)

    def add(self, call: Call, wasted: Decimal) -> None:
        """One more call behind it."""
        self.calls += 1
        self.cost_usd += call.cost_usd or ZERO
        self.wasted_usd += wasted
        sample = (wasted, call.trace_id, call.span_id, call.at.isoformat())
        if len(self.samples) < MAX_SAMPLES:
            heapq.heappush(self.samples, sample)
        else:
            heapq.heappushpop(self.samples, sample)

    @property
    def dearest(self) -> list[list[str]]:
        """The samples as they are stored, the dearest first."""
        return [
            [trace, span, at, f"{usd:f}"]
            for usd, trace, span, at in sorted(self.samples, reverse=True)
        ]


class Collection:
    """The findings of a day, by kind and fingerprint."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}

    def add(
        self,
        kind: str,
        call: Call,
        wasted: Decimal,
        *,
        mark: tuple[str, ...] = (),
        detail: str = "",
    ) -> None:
        """Book `wasted` of `call`. Calls of one place (provider, model, agent, feature) and `mark` are one finding."""
        amount = wasted.quantize(QUANTUM, ROUND_HALF_UP)
        if amount <= 0:
            return
        text = "\x00".join((*call.place, *mark))
        fingerprint = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        found = self._found.get((kind, fingerprint))
        if found is None:
            found = Finding(kind, fingerprint, *call.place, detail=detail[:200])
            self._found[kind, fingerprint] = found
        found.add(call, amount)

    def findings(self) -> list[Finding]:
        """At most MAX_FINDINGS of each kind, the dearest first; what is left of a kind is its last one, so that nothing
        is lost from the sum."""
        kinds: dict[str, list[Finding]] = {}
        for one in sorted(self._found.values(), key=lambda one: (-one.wasted_usd, one.fingerprint)):
            kinds.setdefault(one.kind, []).append(one)
        shown = []
        for kind, many in kinds.items():
            shown += many[:MAX_FINDINGS]
            if rest := many[MAX_FINDINGS:]:
                together = Finding(kind, detail=f"{len(rest)} smaller ones")
                for one in rest:
                    together.calls += one.calls
                    together.cost_usd += one.cost_usd
                    together.wasted_usd += one.wasted_usd
                shown.append(together)
        return shown
