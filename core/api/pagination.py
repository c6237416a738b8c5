"""Keyset pages: `{"results": […], "next": url|null, "previous": url|null}`, stable while rows
arrive.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from core.cursors import InvalidCursorError
from core.errors import DomainError


def limit_of(request: Request, *, default: int = 50, maximum: int = 200) -> int:
    """How many rows a page of a hand-made list holds (`limit`). Raises DomainError."""
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= maximum):
        raise DomainError(
            f"limit is {text[:40]!r}; it must be a whole number from 1 to {maximum}.",
            fields=["limit"],
        )
    return int(text)


def next_url(request: Request, cursor: str, name: str = "after") -> str | None:
    """The address of the page after this one, from the cursor of a hand-made list; None without one."""
    if not cursor:
        return None
    query = request.query_params.copy()
    query[name] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def bad_cursor() -> InvalidCursorError:
    """What to raise for a `cursor` nobody gave out."""
    return InvalidCursorError(
        "cursor is not one this server gave out; start again without it.", fields=["cursor"]
    )


class CursorPages(CursorPagination):
    """Newest first by id (UUIDv7 is time-ordered and unique); `?limit=` 1 to 200, `?cursor=` from
    the last answer.
    """

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering: Any = "-id"

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        """One query. A cursor this server did not make is a 400, not an empty page."""
        try:
            return super().paginate_queryset(queryset, request, view=view)
        except (NotFound, ValidationError, ValueError, DataError):
            raise DomainError(
                "cursor is not one this server gave out; start again without it.", fields=["cursor"]
            ) from None

    def get_page_size(self, request: Request) -> int:
        return limit_of(request, default=self.page_size, maximum=self.max_page_size)
