"""Registers what the traces domain does when others act: partitions, deletion, jobs, work after a commit."""

from django.apps import AppConfig


class TracesConfig(AppConfig):
    name = "traces"

    def ready(self) -> None:
        from core import jobs, outbox, partitions
        from costs.signals import records_repriced, records_repricing, repricing_ended
        from projects import purge
        from traces import bulk as _bulk  # noqa: F401 - registers its job
        from traces import (
            erasure,
            export_sources,
            followups,
            outcomes,
            repricing,
            retention,
            rotation,
        )
        from traces import purge as rows
        from traces.feedback import comments
        from traces.search import purge as derived
        from traces.search import schedule
        from traces.signals import spans_recorded
        from traces.waste import sweep

        partitions.register("traces_span", "started_at")
        partitions.register("traces_spanpayload", "started_at")
        purge.register("search", count=derived.count_rows, delete_batch=derived.delete_batch)
        purge.register("traces", count=rows.count_rows, delete_batch=rows.delete_batch)
        export_sources.register_sources()
        outbox.handler(retention.TOPIC)(retention.handle)
        jobs.register(erasure.KIND, erasure.run_step)
        jobs.register(rotation.KIND, rotation.run_step, ended=rotation.record_end)
        outbox.handler("traces.first_trace")(followups.record_first_trace)
        outbox.handler(schedule.TOPIC)(schedule.handle)
        outbox.handler(sweep.TOPIC)(sweep.handle)
        spans_recorded.connect(schedule.announce_spans, dispatch_uid="traces.search")
        outbox.handler(comments.TOPIC)(comments.handle_mention_mail)
        records_repricing.connect(repricing.lock_traces, dispatch_uid="traces.repricing.lock")
        records_repriced.connect(repricing.follow_costs, dispatch_uid="traces.repricing.follow")
        repricing_ended.connect(repricing.begin_recount, dispatch_uid="traces.repricing.recount")
        outbox.handler(repricing.TOPIC)(repricing.recount)
        outcomes.register()
