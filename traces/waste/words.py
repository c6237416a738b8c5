"""What each kind of waste means and what helps (pure)."""

from traces.models import WasteKind

MEANS = {
    WasteKind.PAID_FAILURE: (
        "Calls that failed and were charged all the same.",
        "Look at the error: time-outs after the provider began, content refused late, tools that break the answer.",
    ),
    WasteKind.RETRY_STORM: (
        "The same prompt at least three times in one trace, each within ten minutes of the one before; all but the"
        " last count.",
        "Retry with growing pauses, retry only what can succeed, and keep an answer that was good enough.",
    ),
    WasteKind.DUPLICATE: (
        "Whole prompts that the same model had answered before on the same day; all but the first count.",
        "Keep answers, or let the gateway's exact cache keep them.",
    ),
    WasteKind.UNUSED_OUTPUT: (
        "Output that nobody took: the caller left, or the answer holds no word and no tool call.",
        "Stop the stream at the provider when the reader leaves; give reasoning models room for an answer.",
    ),
    WasteKind.TRUNCATED: (
        "Answers cut off by a token limit. The whole call counts, because it is usually asked again.",
        "Raise the limit, ask for shorter answers, or go on where the answer broke off.",
    ),
    WasteKind.MISSED_CACHE: (
        "Beginnings of prompts that were sent to the same model minutes before and were charged in full again: the"
        " difference to the price of a cache read, less what writing the cache costs.",
        "Put what stays the same first, what changes last, and mark it for the cache where the provider asks for it.",
    ),
    WasteKind.OVERSIZED: (
        "Inputs above 8,000 tokens that are more than three times the median of their model, agent and feature on the"
        " day: the part above the median.",
        "Cut old turns and tool results, retrieve fewer passages, or summarise.",
    ),
}
