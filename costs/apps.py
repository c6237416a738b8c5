from django.apps import AppConfig


class CostsConfig(AppConfig):
    name = "costs"

    def ready(self) -> None:
        from core import partitions
        from costs import purge as rows
        from projects import purge

        partitions.register("costs_costrecord", "occurred_at")
        purge.register("cost records", count=rows.count_rows, delete_batch=rows.delete_batch)
