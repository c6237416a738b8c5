"""What was found when an incident fired, read back from its JSON (pure). What a release wrote differently is passed
over, never an error: the page of an old incident must open."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from alerts.measures.base import Cause, Evidence, Point


def read_evidence(data: Any) -> Evidence:
    """Rows, course, causes and the page to look at."""
    found = data if isinstance(data, Mapping) else {}
    rows = [tuple(map(str, one)) for one in _list(found, "rows") if _is_pair(one)]
    url = str(found.get("url") or "")
    return Evidence(
        rows=[(label, figure) for label, figure in rows],
        points=[one for one in map(_point, _list(found, "points")) if one],
        causes=[one for one in map(_cause, _list(found, "causes")) if one],
        # A path of this LLMLab, never an address elsewhere.
        url=url if url.startswith("/") and not url.startswith(("//", "/\\")) else "",
        url_label=str(found.get("url_label") or ""),
    )


def _list(data: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = data.get(name)
    return value if isinstance(value, list | tuple) else ()


def _is_pair(one: Any) -> bool:
    return isinstance(one, list | tuple) and len(one) == 2


def _point(one: Any) -> Point | None:
    at, value = (
        (one.get("at"), one.get("value"))
        if isinstance(one, Mapping)
        else one
        if _is_pair(one)
        else (None, None)
    )
    try:
        when = dt.datetime.fromisoformat(str(at))
    except ValueError:
        return None
    return Point(when if when.tzinfo else when.replace(tzinfo=dt.UTC), _decimal(value))


def _cause(one: Any) -> Cause | None:
    if not isinstance(one, Mapping) or not one.get("dimension"):
        return None
    return Cause(
        dimension=str(one["dimension"]),
        value=str(one.get("value") or ""),
        words=str(one.get("words") or ""),
        share=_decimal(one.get("share")),
    )


def _decimal(value: Any) -> Decimal | None:
    try:
        number = None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
