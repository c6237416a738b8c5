"""Messages that tests send."""

import datetime as dt
from dataclasses import replace
from typing import Any

from alerts.channels.base import Message
from alerts.notices import Notice

AT = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)
ID = "0192f0c1-2b3c-7d4e-8f50-123456789abc"
DEDUP = "llmlab:budget:b1::2026-11"
NOTICE = Notice(
    type="alert.fired",
    title="Budget at 104 %: Support bot",
    words="Support bot has spent $104.11 of $100.00 in November.",
    severity="critical",
    state="firing",
    kind="budget",
    dedup_key=DEDUP,
    at="2026-11-20T20:00:00+00:00",
    began_at="2026-11-20T19:58:00+00:00",
    organization="Acme",
    project="Support",
    rule_name="Support bot",
    value="104.11",
    limit="100",
    over="$4.11 (4.1 %) over",
    value_words="$104.11",
    limit_words="$100.00",
    unit="usd",
    rows=(("Spent", "$104.11"), ("Limit", "$100.00")),
    causes=(("Model", "gpt-5.5", "$64.50, 62 %"),),
    points=(
        ("2026-11-20T18:00:00+00:00", "40"),
        ("2026-11-20T19:00:00+00:00", None),
        ("2026-11-20T20:00:00+00:00", "104.11"),
    ),
    note="Ask the support team.",
    links=(
        ("Open the alert", "https://llmlab.example/organizations/acme/alerts/1/"),
        ("See the calls", "https://llmlab.example/costs/?a=1&b=2"),
    ),
)
# What a name may hold.
NASTY = "<!channel> & *bold* \r\nBcc: evil@example.org =cmd|' /C calc'!A0"


def message(action: str = "trigger", **changes: Any) -> Message:
    taken = frozenset(changes.pop("taken", ()))
    return Message(replace(NOTICE, **changes), action, DEDUP, ID, AT, taken)
