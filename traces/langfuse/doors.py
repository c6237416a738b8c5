"""`POST /api/public/ingestion`: Langfuse's batch. Like every door: 2xx only after COMMIT, refusals named."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from traces.ingest import samples, tally
from traces.langfuse.answers import batch_answer, refuse, refuse_method
from traces.langfuse.events import Batch, read_batch, unread
from traces.langfuse.intake import Taken, take_in
from traces.visits import JSON, Visit


@csrf_exempt
def ingestion(request: HttpRequest) -> HttpResponse:
    """207 with `successes` and `errors`, one entry per event."""
    if request.method != "POST":
        return refuse_method(request, "POST")
    visit = Visit(request, door=tally.LANGFUSE, now=timezone.now())

    def work() -> HttpResponse:
        auth = visit.enter()
        visit.content_type((JSON,))
        batch = read_batch(visit.body(), now=visit.now, limits=visit.limits, window=visit.window)
        context, kept = visit.context(auth), samples.keeper(auth.project_id)
        taken = take_in(context, batch, now=visit.now, limits=visit.limits, window=visit.window)
        if kept:
            _keep_events(kept, batch, taken)
            samples.store(kept, context, now=visit.now)
        return batch_answer(batch, taken)

    return visit.answer(work, refuse)


def _keep_events(kept: samples.Keeper, batch: Batch, taken: Taken) -> None:
    """Events beside the step that follows from all that is known."""
    spans = {span.span_id: span for span in taken.spans}
    for event in batch.events:
        if event.index in taken.outcomes and (span := spans.get(event.item_id)) is not None:
            kept.keep_read(event.body, span, unread(event))
