from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "projects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import outbox
        from projects import purge

        outbox.handler(purge.TOPIC)(purge.handle_purge)
