"""The calls a question about token classes is about, with what these classes alone cost and count (numpy, exact)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from costs.explorer.facts import Facts
from costs.explorer.lines import Lines
from costs.explorer.summing import Rows

# The token classes whose quantities make up each count.
CLASSES = {
    "input_tokens": ("input", "cache_"),
    "output_tokens": ("output", "reasoning"),
    "cache_read_input_tokens": ("cache_read",),
    "cache_write_input_tokens": ("cache_write",),
    "reasoning_output_tokens": ("reasoning",),
}
CACHE_READ = "cache_read"
_SAVED = ("saved.state", "saved.high", "saved.low")


def of_class(facts: Facts, mask: Any, code: int) -> Rows:
    """Calls with a line of this class, of those in `mask` (None: all)."""
    text, lines, let = facts.texts("line.class")[code], facts.lines()[code], None
    calls = lines.calls
    if mask is not None:
        let = np.flatnonzero(mask if calls is None else mask[calls])
        calls = let if calls is None else calls[let]
    quantity, high, low = (
        one if let is None else one[let] for one in (lines.quantity, lines.high, lines.low)
    )
    own = {"cost.high": high, "cost.low": low} | {
        name: quantity if text.startswith(prefixes) else None for name, prefixes in CLASSES.items()
    }
    # What a cache read saved stands at its class.
    return Rows(facts, calls, own if text == CACHE_READ else own | dict.fromkeys(_SAVED))


def of_classes(facts: Facts, mask: Any, codes: Sequence[int], sums: Sequence[str]) -> Rows:
    """Calls with a line of any of these classes, which count together; `sums` says what is asked for."""
    texts, found = facts.texts("line.class"), {code: facts.lines()[code] for code in codes}
    let = with_lines(facts, mask, codes)
    calls = None if let.all() else np.flatnonzero(let)
    rows = Rows(facts, calls)

    def added(name: str, prefixes: tuple[str, ...]) -> Any:
        total: Any = np.zeros(facts.rows, dtype=np.int64)
        for code, lines in found.items():
            if texts[code].startswith(prefixes):
                total[slice(None) if lines.calls is None else lines.calls] += getattr(lines, name)
        return rows.take(total)

    own = {name: added("quantity", CLASSES[name]) for name in CLASSES if name in sums}
    if any("cost.high" in one for one in sums):
        own |= {f"cost.{half}": added(half, ("",)) for half in ("high", "low")}
    if "saved.high" in sums:
        own |= _saved(rows, [one for code, one in found.items() if texts[code] == CACHE_READ])
    return Rows(facts, calls, own)


def _saved(rows: Rows, lines: Sequence[Lines]) -> dict[str, Any]:
    """What cache reads saved, of calls with a line of that class."""
    if not lines or lines[0].calls is None:
        return {} if lines else dict.fromkeys(_SAVED)
    states, calls = rows.facts["saved.state"], lines[0].calls
    found = np.zeros_like(states)
    found[calls] = states[calls]
    return {"saved.state": rows.take(found)}


def with_lines(facts: Facts, mask: Any, codes: Sequence[int]) -> Any:
    """Which calls have a line of any of these classes."""
    let: Any = np.zeros(facts.rows, dtype=bool)
    for code in codes:
        lines: Lines = facts.lines()[code]
        let[slice(None) if lines.calls is None else lines.calls] = True
    return let if mask is None else let & mask
