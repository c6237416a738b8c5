"""Registers what the costs domain does when others act: partitions, deletion, work after a commit."""

from django.apps import AppConfig


class CostsConfig(AppConfig):
    name = "costs"

    def ready(self) -> None:
        from core import jobs, outbox, partitions
        from costs import export_sources, minutes
        from costs import purge as rows
        from costs.allocation import register as allocation
        from costs.billing import rate_changes, removal, step
        from costs.explorer import sending
        from costs.exporting import registration
        from costs.forecasting import services as forecasting
        from costs.reconciliation import receivers as reconciliation
        from costs.services import reprice_job
        from costs.signals import records_repriced
        from projects import purge

        partitions.register("costs_costrecord", "occurred_at")
        purge.register("cost records", count=rows.count_rows, delete_batch=rows.delete_batch)
        purge.register(
            "sums per minute", count=minutes.count_rows, delete_batch=minutes.delete_batch
        )
        jobs.register(reprice_job.PREVIEW, reprice_job.preview_step)
        jobs.register(reprice_job.REPRICE, reprice_job.reprice_step, ended=reprice_job.record_end)
        export_sources.register_sources()
        allocation.register()
        forecasting.register()
        rate_changes.register()
        removal.register()
        registration.register()
        jobs.register(step.KIND, step.run, ended=step.ended, is_slow=True)
        reconciliation.register()
        records_repriced.connect(minutes.on_repriced, dispatch_uid="costs.minutes")
        outbox.handler(sending.TOPIC)(sending.handle_report_mail)
