"""A page of a sorted list whose rows have a UUID as their `id`, and the cursor of the page after it."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from core.cursors import InvalidCursorError, decode_place, encode_place

Row = TypeVar("Row", bound=Model)


def keyset_page(
    rows: QuerySet[Row], *, sort: str, column: str, kind: type, after: str, limit: int
) -> tuple[list[Row], str]:
    """`rows` by `column`, whose values are of `kind`, then by `id`, both downwards where `sort` begins with a minus;
    those behind the cursor `after`. With the cursor of the next page ("": no more). One query.

    Raises InvalidCursorError.
    """
    is_down = sort.startswith("-")
    if after:
        value, text = decode_place(after, sort=sort, kind=kind)
        beyond = "lt" if is_down else "gt"
        # The first condition says nothing new: it is the one an index of the column can begin at.
        rows = rows.filter(**{f"{column}__{beyond}e": value}).filter(
            Q(**{f"{column}__{beyond}": value}) | Q(**{column: value, f"id__{beyond}": _key(text)})
        )
    sign = "-" if is_down else ""
    found = list(rows.order_by(f"{sign}{column}", f"{sign}id")[: limit + 1])
    if len(found) <= limit:
        return found, ""
    last: Any = found[limit - 1]
    return found[:limit], encode_place(sort, getattr(last, column), str(last.id))


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidCursorError(
            "The page cursor is not one this server gave out; start from the first page.",
            fields=["after"],
        ) from None
