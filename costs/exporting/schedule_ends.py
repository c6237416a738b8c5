"""How a run of a schedule ended, written to the schedule."""

from django.db.models import F

from core.models import Job
from costs.models import ExportSchedule


def what_of(schedule: ExportSchedule) -> tuple[object, ...]:
    """What it sends and where to: when this changes, nothing counts as sent."""
    return (
        schedule.kind, schedule.format, schedule.version, schedule.is_machine,
        schedule.destination_id, schedule.first_day, schedule.name,
    )  # fmt: skip


def record_end(job: Job) -> None:
    """What came of a run: what it sent counts as sent; a failure is counted and says why."""
    rows = ExportSchedule.objects.filter(
        organization_id=job.organization_id, pk=job.params["schedule"]
    )
    if job.state == Job.State.DONE:
        schedule = rows.select_for_update().first()
        if schedule is not None:
            # Changed meanwhile: what was sent is not what it sends now.
            if job.params["what"] == [str(one) for one in what_of(schedule)]:
                schedule.sent = {**schedule.sent, **job.params["sent"]}
            schedule.failures_in_a_row, schedule.last_message = 0, job.message
            schedule.last_success_at = job.ended_at
            schedule.save(
                update_fields=["sent", "failures_in_a_row", "last_message", "last_success_at"]
            )
    elif job.state == Job.State.FAILED:
        rows.update(failures_in_a_row=F("failures_in_a_row") + 1, last_message=job.message)
    else:
        rows.update(last_message=job.message)
