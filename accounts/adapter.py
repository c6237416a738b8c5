"""allauth's hooks: who may sign up, what happens when they do, where they go next, and which base
URL mails carry.
"""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import invitations, services
from accounts.models import Invitation, User

SESSION_INVITATION = "invitation_token"


class AccountAdapter(DefaultAccountAdapter):
    """Differences from allauth's defaults only."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Open to everyone when LLMLAB_OPEN_SIGNUP says so, always to someone holding a valid
        invitation.
        """
        return bool(settings.LLMLAB_OPEN_SIGNUP) or pending_invitation(request) is not None

    def clean_email(self, email: str) -> str:
        """With sign-up closed, an invitation opens it for the invited address only."""
        email = super().clean_email(email).lower()
        invitation = pending_invitation(self.request) if not settings.LLMLAB_OPEN_SIGNUP else None
        is_signup = self.request is not None and self.request.path == reverse("account_signup")
        if is_signup and invitation is not None and invitation.email != email:
            raise ValidationError(f"Sign up with {invitation.email}, the address that was invited.")
        return email

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """A new person gets an organisation of their own in the same transaction, unless they come
        by invitation.
        """
        with transaction.atomic():
            user = super().save_user(request, user, form, commit=commit)
            if commit and pending_invitation(request) is None:
                services.create_organization(
                    name=services.default_organization_name(user), owner=user
                )
        return user

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return self._invitation_url(request) or super().get_login_redirect_url(request)

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        return self._invitation_url(request) or super().get_signup_redirect_url(request)

    def _invitation_url(self, request: HttpRequest) -> str | None:
        if pending_invitation(request) is None:
            return None
        return reverse("accounts:invitation_detail", args=[request.session[SESSION_INVITATION]])

    def get_reset_password_from_key_url(self, key: str) -> str:
        uid, _, secret = key.partition("-")
        return absolute_url(
            reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": secret})
        )

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return absolute_url(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], headers: Any = None
    ) -> Any:
        context = {**context, "base_url": settings.LLMLAB_BASE_URL}
        return super().render_mail(template_prefix, email, context, headers)


def pending_invitation(request: HttpRequest | None) -> Invitation | None:
    """The invitation whose link this browser followed, while it can still be accepted."""
    token = request.session.get(SESSION_INVITATION) if request is not None else None
    return invitations.find_open(token, now=timezone.now()) if token else None


def absolute_url(path: str) -> str:
    """`path` under the address people reach this server by; never taken from the Host header."""
    return f"{settings.LLMLAB_BASE_URL}{path}"
