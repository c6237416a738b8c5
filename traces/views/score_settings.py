"""`P/settings/scores/`: what scores of each name must look like."""

import uuid
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import add_domain_error
from accounts.models import ROLE_RANK, Role
from accounts.selectors import person
from core.errors import DomainError, NotFoundError
from projects.access import project_for
from projects.models import Project
from traces.feedback import definitions as services
from traces.feedback.definitions import MAX_DESCRIPTION, Rules
from traces.feedback.scores import MAX_NAME
from traces.models import ScoreDefinition, ScoreType
from traces.selectors.feedback import score_definitions


class RulesForm(forms.Form):
    """The rules of a definition; categories one per line."""

    min_value = forms.FloatField(required=False, label="Lowest value", help_text="Numbers only.")
    max_value = forms.FloatField(required=False, label="Highest value", help_text="Numbers only.")
    categories = forms.CharField(
        required=False,
        label="Categories",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One per line, for categories only. Left empty, any word is accepted.",
    )
    description = forms.CharField(
        required=False,
        max_length=MAX_DESCRIPTION,
        label="Description",
        help_text="What the score means, for whoever gives it.",
    )

    says_solved = forms.BooleanField(
        required=False,
        label="Says whether a task is solved",
        help_text="Then what a solved task costs goes by these scores only, not by scores named solved, resolved,"
        " success or task_success.",
    )
    solved_from = forms.FloatField(
        required=False,
        label="Solved from",
        help_text="Numbers only: the least value that means solved.",
    )
    solved_words = forms.CharField(
        required=False,
        label="Words that mean solved",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One per line, for categories only.",
    )

    def rules(self) -> Rules:
        """The cleaned fields."""
        data = self.cleaned_data
        return Rules(
            min_value=data["min_value"],
            max_value=data["max_value"],
            categories=data["categories"].splitlines(),
            description=data["description"],
            says_solved=data["says_solved"],
            solved_from=data["solved_from"],
            solved_words=data["solved_words"].splitlines(),
        )


class DefinitionForm(RulesForm):
    """A new definition."""

    field_order = ("name", "data_type")
    name = forms.CharField(max_length=MAX_NAME, label="Name")
    data_type = forms.ChoiceField(choices=ScoreType.choices, label="Type")


@login_required
@require_http_methods(["GET", "POST"])
def definition_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Everyone reads, admins define."""
    project = project_for(request, slug, Role.ADMIN if request.method == "POST" else Role.VIEWER)
    form = DefinitionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.define_score(
                project=project,
                name=form.cleaned_data["name"],
                data_type=form.cleaned_data["data_type"],
                rules=form.rules(),
                actor=person(request),
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, f"Scores named {form.cleaned_data['name']} are defined.")
            return redirect("traces:definition_list", slug=project.ref)
    context = _context(project) | {"form": form, "rows": score_definitions(project)}
    return render(request, "traces/definition_list.html", context, status=_status(form))


def _context(project: Project) -> dict[str, Any]:
    is_admin = ROLE_RANK[project.role] >= ROLE_RANK[Role.ADMIN]
    return {"project": project, "tab": "scores", "may_change": is_admin}


def _status(form: forms.Form) -> int:
    return HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK


def _definition(project: Project, definition_id: uuid.UUID) -> ScoreDefinition:
    found = score_definitions(project).filter(pk=definition_id).first()
    if found is None:
        raise NotFoundError("There is no such definition in this project.")
    return found


@login_required
@require_http_methods(["GET", "POST"])
def definition_edit(request: HttpRequest, slug: str, definition_id: uuid.UUID) -> HttpResponse:
    """Change the rules; name and type stay, because stored scores carry them."""
    project = project_for(request, slug, Role.ADMIN)
    definition = _definition(project, definition_id)
    initial = {
        "min_value": definition.min_value,
        "max_value": definition.max_value,
        "categories": "\n".join(definition.categories),
        "description": definition.description,
        "says_solved": definition.says_solved,
        "solved_from": definition.solved_from,
        "solved_words": "\n".join(definition.solved_words),
    }
    form = RulesForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_definition(
                project=project, definition=definition, rules=form.rules(), actor=person(request)
            )
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, "The rules are changed; stored scores are as they were.")
            return redirect("traces:definition_list", slug=project.ref)
    context = _context(project) | {"form": form, "definition": definition}
    return render(request, "traces/definition_edit.html", context, status=_status(form))


@login_required
@require_POST
def definition_archive(request: HttpRequest, slug: str, definition_id: uuid.UUID) -> HttpResponse:
    """`archived=1` stops offering it to people, `archived=0` takes it up again."""
    project = project_for(request, slug, Role.ADMIN)
    definition = _definition(project, definition_id)
    archived = request.POST.get("archived") == "1"
    services.archive_definition(
        project=project,
        definition=definition,
        archived=archived,
        now=timezone.now(),
        actor=person(request),
    )
    words = "is no longer offered" if archived else "is offered again"
    messages.success(request, f"{definition.name} {words}.")
    return redirect("traces:definition_list", slug=project.ref)


@login_required
@require_POST
def definition_delete(request: HttpRequest, slug: str, definition_id: uuid.UUID) -> HttpResponse:
    """Forget the rules; scores of that name stay."""
    project = project_for(request, slug, Role.ADMIN)
    definition = _definition(project, definition_id)
    services.delete_definition(project=project, definition=definition, actor=person(request))
    messages.success(request, f"{definition.name} takes any value from now on; its scores stay.")
    return redirect("traces:definition_list", slug=project.ref)
