"""Nobody may call an endpoint that does not say who may."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # rest_framework.views reads this class while it is imported
    from rest_framework.views import APIView


class DenyByDefault(BasePermission):
    """The project-wide default: an endpoint that forgot `permission_classes` answers 401 or 403,
    never data.
    """

    message = "This endpoint is not open."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return False
