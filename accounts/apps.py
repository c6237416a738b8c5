"""The accounts domain: people, organisations, roles."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import invitations
        from core import outbox

        outbox.handler(invitations.TOPIC)(invitations.handle_invitation_mail)
