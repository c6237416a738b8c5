"""Small translations at the edge of every page."""

import datetime as dt
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.views import defaults
from django_htmx.http import HttpResponseClientRedirect

from core import person_formats
from core.errors import DomainError, NotFoundError, ServerError, StorageAwayError
from core.ranges import utc_text

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]


class PageGZipMiddleware(GZipMiddleware):
    """Pages and panels travel compressed (a waterfall of 300 steps: 515 KB become 25); files and streams as they are.

    What BREACH guesses at is not there to be guessed: CSRF tokens are masked anew in each answer, keys are shown once,
    in the answer to a POST, which is left alone, and Django pads compressed answers by a random length.
    """

    FROM_BYTES = 4_096

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "")
        if (
            not isinstance(response, HttpResponse)
            or request.method != "GET"
            or not kind.startswith("text/html")
            or len(response.content) < self.FROM_BYTES
        ):
            return response
        return super().process_response(request, response)


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


class RangeFormMiddleware:
    """The range picker's own form: its two local times become `range` in UTC, an address that means the same to all.

    A page that is asked with `start` and `end` alone reads them as UTC, and so do programs.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.GET if request.method == "GET" else {}
        if not all(given.get(name) for name in ("zone", "start", "end")):
            return self.get_response(request)
        zone = person_formats.reader("", str(given["zone"])[:64]).zone or dt.UTC
        params = request.GET.copy()
        params["range"] = "..".join(utc_text(str(given[name]), zone) for name in ("start", "end"))
        for name in ("zone", "start", "end"):
            del params[name]
        return HttpResponseRedirect(f"{request.path}?{params.urlencode()}")


class DomainErrorMiddleware:
    """An anticipated refusal that a view lets through becomes an error page, or JSON where JSON is spoken.

    So does a database that is away: 503 with Retry-After, never 500. An address with a NUL, which no text column can be
    asked for, does not exist.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            return refusal(request, NotFoundError("There is nothing at this address."))
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, OperationalError | InterfaceError):
            logger.warning("core.pages.storage_away: %s", type(exception).__name__)
            response = refusal(request, StorageAwayError("The database cannot be reached."))
            response["Retry-After"] = str(StorageAwayError.RETRY_SECONDS)
            return response
        return refusal(request, exception) if isinstance(exception, DomainError) else None


def refusal(request: HttpRequest, error: DomainError) -> HttpResponse:
    """What somebody is told who asked for what cannot be done: a page, or JSON where JSON is spoken."""
    # htmx shows no page for a refusal: the panel or a toast says its words.
    if speaks_json(request) or request.headers.get("HX-Request"):
        body = {"detail": error.detail, "code": error.code, "fields": list(error.fields)}
        return JsonResponse(body, status=error.status)
    if error.status >= 500:  # nothing that asks the database: no context processor
        name = "503.html" if error.status == StorageAwayError.status else "500.html"
        context = {"retry_seconds": StorageAwayError.RETRY_SECONDS}
        return HttpResponse(render_to_string(name, context), status=error.status)
    template = f"{error.status}.html" if error.status in (403, 404) else "400.html"
    return render(request, template, {"detail": error.detail}, status=error.status)


def speaks_json(request: HttpRequest) -> bool:
    """Whether errors at this address are for programs."""
    return request.path.startswith(("/api/v1/", "/v1/"))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: the API's error shape under the API, the page elsewhere."""
    if speaks_json(request):
        return refusal(request, NotFoundError("There is nothing at this address."))
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, likewise."""
    if speaks_json(request):
        return refusal(request, ServerError("Something broke on our side; it was recorded."))
    return defaults.server_error(request)
