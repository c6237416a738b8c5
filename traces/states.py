"""Why a step has nothing to show, in words. Pure."""

import datetime as dt

OFF, MASKED = "off", "masked"


def why_silent(
    *,
    status: str,
    capture: str,
    started_at: dt.datetime,
    payload_days: int | None,
    now: dt.datetime,
) -> tuple[str, str]:
    """(heading, text) for a step without input and output: running, expired, capture off, or never sent."""
    if payload_days is not None and started_at < now - dt.timedelta(days=payload_days):
        return (
            "What was said has expired",
            f"This project keeps inputs and outputs for {payload_days:,} day{'' if payload_days == 1 else 's'}; "
            "times, tokens and cost stay.",
        )
    if capture == OFF:
        return (
            "Content capture is off",
            "This project keeps no inputs and outputs. Whoever administers it can switch that on in its settings, "
            "for steps that arrive from then on.",
        )
    if status == "running":
        return "Nothing has been said yet", "This step is still running."
    return (
        "Nothing was sent",
        "This step carries no input or output. If it should, switch on content capture in the program's "
        "instrumentation.",
    )
