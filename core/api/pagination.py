"""Keyset pages: `{"results": […], "next": url|null, "previous": url|null}`, stable while rows
arrive.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from core.errors import DomainError


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
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= self.max_page_size):
            raise DomainError(
                f"limit={text[:40]!r} must be a whole number from 1 to {self.max_page_size}.",
                fields=["limit"],
            )
        return int(text)
