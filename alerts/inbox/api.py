"""A person's inbox and preferences for programs that act for people: by session, about whoever asks."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Membership, User
from accounts.selectors import person
from alerts.inbox import preferences, selectors, serializers, services
from alerts.inbox.digest_times import zone_of
from alerts.inbox.views import SHOWS, read_instant
from alerts.models import NotificationPreference
from core.api.pagination import limit_of, next_url
from core.errors import DomainError
from costs.forms import refuse_unknown
from projects.access import HasScope, parse_uuid, people_only

MOST_AT_ONCE = 100
_LISTING = [
    OpenApiParameter("show", OpenApiTypes.STR, enum=["unread"], description="Only unread ones."),
    OpenApiParameter("after", OpenApiTypes.STR, description="From `next` of the page before."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 200, default 50."),
]
_membership = people_only("it has no inbox; people do.")


def _body(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise DomainError("The body must be a JSON object.")
    return dict(request.data)


class PreferencesView(APIView):
    """What the person who asks wants to hear of an organisation's alerts."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_preferences_get", responses=serializers.PreferenceAnswerSerializer
    )
    def get(self, request: Request, organization: str) -> Response:
        """Your own preferences; defaults before you chose any (people only)."""
        membership = _membership(request, organization)
        return _preference_answer(selectors.preference_of(membership), person(request))

    @extend_schema(
        operation_id="alert_preferences_replace",
        request=serializers.PreferenceSerializer,
        responses=serializers.PreferenceAnswerSerializer,
    )
    def put(self, request: Request, organization: str) -> Response:
        """Change your own preferences; fields that are left out stay as they are."""
        membership, user = _membership(request, organization), person(request)
        before = preferences.draft_of(selectors.preference_of(membership))
        saved = preferences.save_preference(
            membership=membership,
            user=user,
            draft=preferences.read_draft(_body(request), before),
            now=timezone.now(),
        )
        return _preference_answer(saved, user)


def _preference_answer(preference: NotificationPreference, user: User) -> Response:
    shown = vars(preferences.draft_of(preference)) | {
        "time_zone": str(zone_of(user.time_zone)),
        "digest_next_at": preference.digest_next_at,
        "read_before": preference.read_before,
    }
    return Response(serializers.PreferenceAnswerSerializer(shown).data)


class InboxView(APIView):
    """The bell and its list."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_inbox", parameters=_LISTING, responses=serializers.InboxSerializer
    )
    def get(self, request: Request, organization: str) -> Response:
        """What you have not read, what is open, and the incidents of the last 30 days, newest first (people only)."""
        membership = _membership(request, organization)
        refuse_unknown(request.query_params, {one.name for one in _LISTING})
        show = request.query_params.get("show", "")
        if show not in SHOWS:
            raise DomainError(
                f"show is {show[:40]!r}; it must be unread or left out.", fields=["show"]
            )
        preference, now = selectors.preference_of(membership), timezone.now()
        page = selectors.inbox_page(
            membership,
            preference,
            now=now,
            after=request.query_params.get("after", ""),
            only_unread=bool(show),
            limit=limit_of(request),
        )
        bell = selectors.bell_of(membership, preference, now)
        shown = {name: getattr(bell, name) for name in ("unread", "firing", "open", "worst")}
        shown |= {"results": page.rows, "next": next_url(request, page.after)}
        return Response(serializers.InboxSerializer(shown).data)


class InboxReadView(APIView):
    """Marking as read."""

    permission_classes = [HasScope("read")]

    @extend_schema(
        operation_id="alert_inbox_read",
        request=serializers.ReadSerializer,
        responses=serializers.UnreadSerializer,
    )
    def post(self, request: Request, organization: str) -> Response:
        """Mark incidents (`events`) or everything up to `until` as read by you; answers how many are left."""
        membership, now = _membership(request, organization), timezone.now()
        body = _body(request)
        unknown = sorted(str(name)[:80] for name in set(body) - {"events", "until"})
        if unknown or len(body) > 1:
            raise DomainError(
                f"{unknown[0]} is unknown; known are events, until."
                if unknown
                else "Give events or until, not both.",
                fields=unknown or ["events", "until"],
            )
        if "events" in body:
            _read_events(membership, person(request), body["events"])
        else:
            until = read_instant(str(body.get("until", "")), now)
            services.mark_all_read(membership=membership, until=until, now=now)
        bell = selectors.bell_of(membership, selectors.preference_of(membership), now)
        return Response({"unread": bell.unread})


def _read_events(membership: Membership, user: User, given: Any) -> None:
    """Raises DomainError, NotFoundError; then nothing is marked."""
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_AT_ONCE:
        raise DomainError(
            f"events must be a list of 1 to {MOST_AT_ONCE} incident ids.", fields=["events"]
        )
    ids: list[UUID] = []
    for one in given:
        found = parse_uuid(str(one)) if isinstance(one, str) else None
        if found is None:
            raise DomainError(
                f"events has {str(one)[:40]!r}; every one must be an incident's id.",
                fields=["events"],
            )
        ids.append(found)
    services.mark_events_read(membership=membership, user=user, ids=ids, now=timezone.now())
