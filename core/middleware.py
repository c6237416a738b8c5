"""Two small translations at the edge of every page."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django_htmx.http import HttpResponseClientRedirect

from core.errors import DomainError

GetResponse = Callable[[HttpRequest], HttpResponse]


class LoginRedirectMiddleware:
    """A panel must not be filled with a login page: an htmx request redirected to login gets `HX-Redirect` instead."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 302 or not request.headers.get("HX-Request"):
            return response
        if urlsplit(response["Location"]).path != resolve_url("account_login"):
            return response
        return HttpResponseClientRedirect(resolve_url("account_login"))


class DomainErrorMiddleware:
    """An anticipated refusal that a page view lets through becomes an error page (or JSON where JSON is spoken)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DomainError):
            return None
        if request.path.startswith(("/api/", "/v1/")):
            body = {
                "detail": exception.detail,
                "code": exception.code,
                "fields": list(exception.fields),
            }
            return JsonResponse(body, status=exception.status)
        template = f"{exception.status}.html" if exception.status in (403, 404) else "400.html"
        return render(request, template, {"detail": exception.detail}, status=exception.status)
