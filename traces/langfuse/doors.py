"""`POST /api/public/ingestion`: Langfuse's batch. Like every door: 2xx only after COMMIT, refusals named."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from traces.ingest import tally
from traces.langfuse.answers import batch_answer, refuse
from traces.langfuse.events import read_batch
from traces.langfuse.intake import take_in
from traces.visits import JSON, Visit, method_error


@csrf_exempt
def ingestion(request: HttpRequest) -> HttpResponse:
    """207 with `successes` and `errors`, one entry per event."""
    if request.method != "POST":
        return method_error(request, "POST")
    visit = Visit(request, door=tally.LANGFUSE, now=timezone.now())

    def work() -> HttpResponse:
        auth = visit.enter()
        visit.content_type((JSON,))
        batch = read_batch(visit.body(), now=visit.now, limits=visit.limits, window=visit.window)
        taken = take_in(
            visit.context(auth), batch, now=visit.now, limits=visit.limits, window=visit.window
        )
        return batch_answer(batch, taken)

    return visit.answer(work, refuse)
