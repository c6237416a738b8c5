"""What a page takes from the person who reads it."""

from django.http import HttpRequest, HttpResponse

from accounts.models import User
from core.middleware import GetResponse
from core.person_formats import ANYONE, Reader, reader, reading_as


def reader_for(user: object) -> Reader:
    """How `user` (a User, or anybody else) wants figures and times written."""
    return reader(user.number_style, user.time_zone) if isinstance(user, User) else ANYONE


class PersonalFormatsMiddleware:
    """Figures and times of the answer are written the way the person has chosen. Asks for the person only when a page
    writes a figure, so ingestion pays nothing."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with reading_as(lambda: reader_for(_person(request))):
            return self.get_response(request)


def _person(request: HttpRequest) -> object:
    """The user behind the lazy object; None before authentication has run."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    return user
