"""Which of a day's calls bought nothing, and how much of each (pure). docs/waste.md says the rules in words.

A call's dollars are booked once: who pays for a failure is not also told that its answer was cut off. Missed cache and
oversized context book a part of a call and come last.
"""

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal

from traces.models.waste import WasteKind
from traces.waste.calls import INPUT_CLASSES, OUTPUT_CLASSES, ZERO, Call
from traces.waste.findings import Collection

# Finish reasons as providers spell them, lower case.
CUT_OFF = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "token_limit", "max_length"}
)
LEFT = frozenset(
    {"cancelled", "canceled", "cancel", "aborted", "abort", "client_disconnected", "interrupted"}
)
# The same prompt again in one trace, this often within this time, is a retry.
STORM_CALLS, STORM_WITHIN = 3, dt.timedelta(minutes=10)
# A provider's cache keeps a prompt's beginning about this long, and takes none shorter.
CACHE_FOR, CACHE_FROM = dt.timedelta(minutes=5), 1024
# Oversized: more than this many tokens and times the usual of its place.
LARGE_FROM, LARGE_TIMES, USUAL_OF = 8_000, 3, 20

# (uncached, cache read, cache write) US dollars a token of a model; None where it has no cache price.
CachePrices = Callable[[Call], tuple[Decimal, Decimal, Decimal] | None]


def detect(calls: Sequence[Call], prices: CachePrices) -> Collection:
    """The findings of calls in order of time."""
    found = Collection()
    claimed: set[int] = set()
    for step in (_paid_failures, _retry_storms, _duplicates, _unused_output, _truncated):
        step(calls, claimed, found)
    _missed_cache(calls, claimed, found, prices)
    _oversized(calls, claimed, found)
    return found


def _paid_failures(calls: Sequence[Call], claimed: set[int], found: Collection) -> None:
    for at, call in enumerate(calls):
        if call.is_error and call.cost_usd:
            claimed.add(at)
            detail = call.error_type or "error"
            found.add(WasteKind.PAID_FAILURE, call, call.cost_usd, mark=(detail,), detail=detail)


def _retry_storms(calls: Sequence[Call], claimed: set[int], found: Collection) -> None:
    """All but the last call of a storm. Failed calls of it that cost something are paid failures already."""
    groups: dict[tuple[str, str, bytes], list[int]] = defaultdict(list)
    for at, call in enumerate(calls):
        if call.prompt is not None:
            groups[call.trace_id, call.model, call.prompt.whole].append(at)
    for places in groups.values():
        for storm in _storms(calls, places):
            for at in storm[:-1]:
                call = calls[at]
                if at not in claimed and call.cost_usd:
                    claimed.add(at)
                    found.add(WasteKind.RETRY_STORM, call, call.cost_usd)


def _storms(calls: Sequence[Call], places: Sequence[int]) -> list[list[int]]:
    """Runs of at least STORM_CALLS calls, each soon after the one before."""
    runs: list[list[int]] = []
    for at in places:
        if runs and calls[at].at - calls[runs[-1][-1]].at <= STORM_WITHIN:
            runs[-1].append(at)
        else:
            runs.append([at])
    return [run for run in runs if len(run) >= STORM_CALLS]


def _duplicates(calls: Sequence[Call], claimed: set[int], found: Collection) -> None:
    """Every call whose whole prompt was answered by the same model before on this day."""
    seen: set[tuple[str, str, bytes]] = set()
    for at, call in enumerate(calls):
        if at in claimed or call.prompt is None or call.is_error:
            continue
        key = (call.provider, call.model, call.prompt.whole)
        if key in seen:
            if call.cost_usd:
                claimed.add(at)
                found.add(WasteKind.DUPLICATE, call, call.cost_usd)
        else:
            seen.add(key)


def _unused_output(calls: Sequence[Call], claimed: set[int], found: Collection) -> None:
    """Output that nobody took: the caller left, or the answer holds no word and calls no tool."""
    for at, call in enumerate(calls):
        if at in claimed or call.is_error or not call.output_tokens:
            continue
        is_left = call.finish_reason.lower() in LEFT
        if not is_left and call.has_output is not False:
            continue
        if wasted := call.cost_of(OUTPUT_CLASSES):
            claimed.add(at)
            detail = "the caller left" if is_left else "empty answer"
            found.add(WasteKind.UNUSED_OUTPUT, call, wasted, mark=(detail,), detail=detail)


def _truncated(calls: Sequence[Call], claimed: set[int], found: Collection) -> None:
    """Answers cut off by a limit: the whole call, because it is usually asked again."""
    for at, call in enumerate(calls):
        reason = call.finish_reason.lower()
        if at not in claimed and call.cost_usd and reason in CUT_OFF:
            claimed.add(at)
            found.add(WasteKind.TRUNCATED, call, call.cost_usd, mark=(reason,), detail=reason)


def _missed_cache(
    calls: Sequence[Call], claimed: set[int], found: Collection, prices: CachePrices
) -> None:
    """What a prompt's beginning, sent minutes before to the same model, would have saved as a cache read.

    Where writing a cache costs more than plain input, the beginning's first call pays that once.
    """
    seen: dict[tuple[str, str, bytes], tuple[dt.datetime, bool]] = {}
    for at, call in enumerate(calls):
        if call.prompt is None or not call.prompt.chars:
            continue
        shared, key = _shared(call, seen)
        # The others' lines are remembered only after the look: a call does not share with itself.
        for mark, _ in call.prompt.prefixes:
            place = (call.provider, call.model, mark)
            seen[place] = (call.at, seen[place][1] if place in seen else False)
        if at in claimed or call.is_error or not shared or key is None:
            continue
        tokens = call.input_tokens * shared // call.prompt.chars // 128 * 128
        missed = tokens - call.cache_read_tokens
        if tokens < CACHE_FROM or missed < 128 or (rates := prices(call)) is None:
            continue
        plain, read, write = rates
        saved = missed * (plain - read)
        if not seen[key][1]:
            seen[key] = (call.at, True)
            saved -= tokens * max(ZERO, write - plain)
        found.add(WasteKind.MISSED_CACHE, call, saved)


def _shared(
    call: Call, seen: dict[tuple[str, str, bytes], tuple[dt.datetime, bool]]
) -> tuple[int, tuple[str, str, bytes] | None]:
    """Characters of the longest beginning that was sent lately, and its place in `seen`."""
    if call.prompt is None:
        return 0, None
    for mark, chars in reversed(call.prompt.prefixes):
        key = (call.provider, call.model, mark)
        if key in seen and call.at - seen[key][0] <= CACHE_FOR:
            return chars, key
    return 0, None


def _oversized(calls: Sequence[Call], claimed: set[int], found: Collection) -> None:
    """The input beyond what is usual for the place, of calls with several times that."""
    sizes: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    for call in calls:
        if call.input_tokens:
            sizes[call.place].append(call.input_tokens)
    usual = {
        place: int(statistics.median(many))
        for place, many in sizes.items()
        if len(many) >= USUAL_OF
    }
    for at, call in enumerate(calls):
        median = usual.get(call.place)
        if at in claimed or call.is_error or median is None:
            continue
        if call.input_tokens <= LARGE_FROM or call.input_tokens <= LARGE_TIMES * median:
            continue
        spent = call.cost_of(INPUT_CLASSES)
        found.add(
            WasteKind.OVERSIZED, call, spent * (call.input_tokens - median) / call.input_tokens
        )
