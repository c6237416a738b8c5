"""A report as an e-mail: the table and the chart in HTML that mail clients draw, as text, and as attached CSV."""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import strip_tags
from django.utils.text import slugify

from accounts.middleware import reader_for
from core.charts import Series
from core.person_formats import reading_as
from core.ranges import DAY, TimeRange, floor, make_range
from costs.explorer.measures import MEASURES
from costs.explorer.naming import written
from costs.explorer.page import Look, csv_of, look_at
from costs.explorer.page_state import PageState, read_page
from costs.models import ReportRecipient, ReportSchedule
from projects.selectors import projects_of

SALT = "costs.explorer.unsubscribe"
# Mail clients know no light-dark(); these are the light theme's.
COLOURS = {
    "c1": "#4457d4", "c2": "#cf8125", "c3": "#14a693", "c4": "#a33766", "c5": "#ab79fa", "c6": "#3c5403",
    "co": "#8c8d99",
}  # fmt: skip
TALL = 120
MOST_BARS = 62


@dataclass(frozen=True)
class Bar:
    """One bin: parts from the top down as (pixels, colour)."""

    label: str
    title: str
    parts: list[tuple[int, str]]


def token_of(recipient: ReportRecipient) -> str:
    return signing.Signer(salt=SALT).sign(recipient.pk.hex)


def recipient_of(token: str) -> ReportRecipient | None:
    """Who a link of an e-mail is about; None for one that was not given out, or whose schedule is gone. One query."""
    try:
        pk = signing.Signer(salt=SALT).unsign(token[:200])
    except signing.BadSignature:
        return None
    rows = ReportRecipient.objects.select_related("schedule__report__organization", "user")
    return rows.filter(pk=pk).first()


def period_of(schedule: ReportSchedule, slot: dt.datetime) -> TimeRange | None:
    """The whole UTC day, week or month before the slot; None for the report's own range."""
    if schedule.covers == ReportSchedule.Covers.REPORT:
        return None
    if schedule.frequency == ReportSchedule.Frequency.DAILY:
        end = floor(slot, "day")
        return make_range(end - DAY, end)
    if schedule.frequency == ReportSchedule.Frequency.WEEKLY:
        end = floor(slot, "week")
        return make_range(end - 7 * DAY, end)
    end = floor(slot, "month")
    return make_range(floor(end - DAY, "month"), end)


def mail_of(recipient: ReportRecipient, *, slot: dt.datetime) -> EmailMultiAlternatives:
    """The message to one recipient, figures as they want them written. Queries of the page. Raises DomainError."""
    with reading_as(lambda: reader_for(recipient.user)):
        return _mail(recipient, slot)


def _mail(recipient: ReportRecipient, slot: dt.datetime) -> EmailMultiAlternatives:
    schedule, report = recipient.schedule, recipient.schedule.report
    own = projects_of(recipient.user)
    projects = sorted(
        (one for one in own if one.organization_id == report.organization_id),
        key=lambda one: one.pk,
    )
    state = _state(schedule, slot, [one.pk for one in projects])
    look = look_at(state, projects, has_links=False)
    stop = reverse("costs:report_unsubscribe", args=[token_of(recipient)])
    unsubscribe = settings.LLMLAB_BASE_URL + stop
    context = {
        "report": report,
        "organization": report.organization,
        "schedule": schedule,
        "look": look,
        "label": MEASURES[state.measure].label,
        "figure": written(state.measure, look.total[state.measure]),
        "bars": bars_of(look),
        "legend": [(one.label, COLOURS.get(one.slot, COLOURS["co"])) for one in _drawn(look)],
        "lines": text_lines(look),
        "link": settings.LLMLAB_BASE_URL + state.url(range=state.period.explicit),
        "unsubscribe": unsubscribe,
    }
    mail = EmailMultiAlternatives(
        " ".join(render_to_string("costs/explorer/emails/report.subject.txt", context).split()),
        render_to_string("costs/explorer/emails/report.body.txt", context),
        to=[recipient.user.email],
        headers={
            "List-Unsubscribe": f"<{unsubscribe}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
    mail.attach_alternative(
        render_to_string("costs/explorer/emails/report.body.html", context), "text/html"
    )
    name = f"{slugify(report.name) or 'report'}-{state.period.start:%Y-%m-%d}.csv"
    mail.attach(name, csv_of(state), "text/csv")
    return mail


def _state(schedule: ReportSchedule, slot: dt.datetime, project_ids: list[UUID]) -> PageState:
    query = QueryDict(schedule.report.query, mutable=True)
    if period := period_of(schedule, slot):
        query["range"] = period.key
        if query.get("bin") == "hour" and period.duration > 2 * DAY:
            query["bin"] = "day"
    return read_page(
        query, slug=schedule.report.organization.slug, project_ids=project_ids, now=slot
    )


def _drawn(look: Look) -> list[Series]:
    return [one for one in look.chart.series if one.slot != "prev"]


def bars_of(look: Look) -> list[Bar]:
    """The chart as bars of coloured blocks, the last bins when there are too many. Lines have one bar for all calls."""
    series, frame = _drawn(look), look.chart.frame
    measure = look.state.measure
    if look.chart.is_line:
        values = {row.at: row[measure] for row in look.found.totals}
        columns = [[(Decimal(values.get(at) or 0), COLOURS["c1"])] for at in frame.bins]
    else:
        columns = [
            [(Decimal(one.values[place] or 0), COLOURS.get(one.slot, COLOURS["co"])) for one in reversed(series)]
            for place in range(len(frame.bins))
        ]  # fmt: skip
    top = max((sum(value for value, _ in one) for one in columns), default=Decimal(0))
    if top <= 0:
        return []
    bars = [
        Bar(
            frame.labels[place],
            f"{frame.titles[place]}: {written(measure, sum(value for value, _ in one))}",
            [(max(1, round(value / top * TALL)), colour) for value, colour in one if value > 0],
        )
        for place, one in enumerate(columns)
    ]
    return bars[-MOST_BARS:]


def text_lines(look: Look) -> list[str]:
    """The table as aligned text."""
    table = look.table
    heads = [table.first, *(head.label for head in table.heads)]
    heads += ["Change"] if table.has_change else []
    rows = [heads]
    for line in [*table.lines, table.total]:
        words = [line.label[:40], *(_plain(cell) for cell in line.cells)]
        if table.has_change:
            words.append(line.change.words if line.change else "-")
        rows.append(words)
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    return [
        "  ".join(
            word.ljust(widths[place]) if place == 0 else word.rjust(widths[place])
            for place, word in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _plain(cell: str) -> str:
    return re.sub(r"\s+", " ", strip_tags(cell)).strip()
