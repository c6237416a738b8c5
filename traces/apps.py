from django.apps import AppConfig


class TracesConfig(AppConfig):
    name = "traces"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import partitions

        partitions.register("traces_span", "started_at")
        partitions.register("traces_spanpayload", "started_at")
