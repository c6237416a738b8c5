"""API paths answer with and without a trailing slash: a redirect would turn a POST into a GET."""

from django.urls import URLPattern, path
from rest_framework.views import APIView


def endpoint(route: str, view: type[APIView], name: str) -> list[URLPattern]:
    """Both spellings of `route` (given without the slash); only the first is named and in the
    OpenAPI document.
    """
    return [
        path(route, view.as_view(), name=name),
        path(f"{route}/", view.as_view(schema=None)),
    ]
