"""A project's webhook for jobs: seen by whoever sees the project, changed by admins; its secret is shown once."""

from http import HTTPStatus

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Role
from accounts.selectors import person
from core.errors import DomainError
from gateway.requests import webhooks
from gateway.routing.services import By
from gateway.routing.views import may_change
from projects.access import project_for
from projects.models import Project


class WebhookForm(forms.Form):
    """The default address and the hosts that calls may name."""

    url = forms.CharField(
        label="Default address",
        required=False,
        max_length=webhooks.MAX_URL,
        help_text="Told of every request to be answered later, unless its call says otherwise. Kept encrypted.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    no_url = forms.BooleanField(label="No default address any more", required=False)
    hosts = forms.CharField(
        label="Hosts that calls may name",
        required=False,
        max_length=webhooks.MAX_HOSTS * 260,
        help_text="One a line, in X-LLMLab-Webhook: hooks.example.com, or *.example.com for all below it.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest, slug: str) -> HttpResponse:
    """The form; the secret of a new one is shown on the way, once."""
    project = project_for(request, slug, Role.ADMIN if request.method == "POST" else Role.VIEWER)
    row = webhooks.webhook_of(project.pk)
    form = WebhookForm(request.POST or None, initial={"hosts": "\n".join(row.hosts) if row else ""})
    for name in () if may_change(project) else tuple(form.fields):
        form.fields[name].disabled = True
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            _, shown = webhooks.save_webhook(
                project=project,
                hosts=said["hosts"].splitlines(),
                url="" if said["no_url"] else said["url"].strip() or None,
                by=By(person(request)),
                now=timezone.now(),
            )
        except DomainError as error:
            form.add_error(next((one for one in error.fields if one in form.fields), None), error.detail)  # fmt: skip
        else:
            if shown:
                return _shown(request, project, shown)
            messages.success(request, "Saved.")
            return redirect("gateway:job_webhook", slug=project.ref)
    context = {
        "project": project,
        "form": form,
        "row": row,
        "may_change": may_change(project),
        "now": timezone.now(),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "gateway/requests/webhook.html", context, status=status)


@login_required
@never_cache
@require_POST
def webhook_rotation(request: HttpRequest, slug: str) -> HttpResponse:
    """A new secret, shown once; the one before signs too for a day."""
    project = project_for(request, slug, Role.ADMIN)
    try:
        shown = webhooks.rotate_secret(project=project, by=By(person(request)), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("gateway:job_webhook", slug=project.ref)
    return _shown(request, project, shown)


@login_required
@require_POST
def webhook_deletion(request: HttpRequest, slug: str) -> HttpResponse:
    """Nobody is told any more."""
    project = project_for(request, slug, Role.ADMIN)
    try:
        webhooks.remove_webhook(project=project, by=By(person(request)))
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "Removed. What waited to be told is given up.")
    return redirect("gateway:job_webhook", slug=project.ref)


def _shown(request: HttpRequest, project: Project, shown: str) -> HttpResponse:
    context = {"project": project, "shown": shown}
    status = HTTPStatus.CREATED
    return render(request, "gateway/requests/webhook_secret.html", context, status=status)
