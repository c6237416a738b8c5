"""Who looks at a trace and through which door: the seam between the trace page and everything that shows one.

Every address on the page, in its panels and in its live frames is made here from `base_url`, so the same views serve a
member at `P/traces/<id>/` and a stranger at `/share/<token>/`. To open another door:

1. authorise the request, read the project, and make a `Viewer` whose `base_url` is where your page lives (with "/");
2. mount these under it and hand them your viewer, each answering exactly as it does for members:
   ""                              traces.views.shown.show_trace(request, viewer, page="your_page.html")
   "rows/"                         shown.show_rows
   "changes/"                      shown.show_changes
   "find/"                         shown.show_find
   "models/"                       traces.views.whatif.show_models
   "steps/<span_id>/"              traces.views.steps.show_step(request, viewer, span_id)
   "steps/<span_id>/payload/"      traces.views.contents.show_payload(request, viewer, span_id)
   "steps/<span_id>/media/<n>/"    traces.views.contents.show_media(request, viewer, span_id, n)
3. your page includes `traces/_body.html` (facts, views, pane), which needs no shell.

`can_edit` false hides everything that changes something. `sees_payloads` false keeps what was said (inputs, outputs,
attributes, media, error messages) out of every answer: it is never read, not merely hidden. `is_public` also leaves
out the user, the session and links into the project's own pages.
"""

from dataclasses import dataclass
from urllib.parse import quote

from django.urls import reverse

from accounts.models import ROLE_RANK, Role
from projects.models import Project
from traces.lines import with_query


@dataclass(frozen=True)
class Viewer:
    """One reader of one trace."""

    project: Project
    trace_id: str
    can_edit: bool
    sees_payloads: bool
    base_url: str
    is_public: bool = False

    def url(self, path: str = "", **params: object) -> str:
        """An address under the trace's page, with the parameters that have a value."""
        return with_query(self.base_url + path, **params)

    def step_url(self, span_id: str, path: str = "", **params: object) -> str:
        """An address under one step."""
        return self.url(f"steps/{quote(span_id, safe='')}/{path}", **params)


def member_viewer(project: Project, trace_id: str) -> Viewer:
    """A member of the project's organisation; `project` comes from projects.access and carries `.ref` and `.role`."""
    role: Role = getattr(project, "role", Role.VIEWER)
    return Viewer(
        project=project,
        trace_id=trace_id,
        can_edit=ROLE_RANK[role] >= ROLE_RANK[Role.MEMBER],
        sees_payloads=True,
        base_url=reverse("traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace_id}),
    )
