"""The form of a project's gateway settings."""

from typing import Any

from django import forms

from gateway.routing import form_parts as parts
from gateway.routing.guard_fields import GuardFields, guards_initial
from gateway.structs import GuardRule, ProjectRules
from projects.models import ApiKey, Project

_GONE = (("drain", "Finish it for the record"), ("cancel", "Cancel it"))
_PRIORITIES = (("high", "High"), ("normal", "Normal"), ("low", "Low"))
_PLAIN = (
    "direct", "default_priority", "on_client_gone", "deadline_s", "queue_limit", "cache_entries",
    "job_max_attempts",
)  # fmt: skip
_DAY_S = 86_400


def keys_of(project: Project) -> list[ApiKey]:
    """The project's keys that may call models. One query."""
    keys = ApiKey.objects.filter(project=project, revoked_at=None, scopes__contains=["gateway"])
    return list(keys.order_by("name", "pk"))


class SettingsForm(GuardFields, parts.CompactFields, parts.CacheFields):
    """All of ProjectRules."""

    direct = parts.switch(
        "Models no route names go to a connection that serves them",
        "Off: only routes can be called.",
    )
    default_priority = forms.ChoiceField(
        label="Priority",
        choices=_PRIORITIES,
        help_text="Of calls whose key or header says no other.",
    )
    on_client_gone = forms.ChoiceField(label="When a client leaves before its answer", choices=_GONE)  # fmt: skip
    deadline_s = parts.number(
        "Deadline of a call, in seconds",
        "Waiting, tries and answer together.",
        initial="600",
        needed=True,
    )
    queue_limit = parts.whole(
        "Calls that may wait at once", "More are answered 429.", initial="1000", needed=True
    )
    job_max_attempts = parts.whole("Tries of a job", initial="3", needed=True)
    job_keep_days = parts.number("Jobs' answers are kept for days", initial="7", needed=True)
    cache_entries = parts.whole(
        "Kept answers at most",
        "Past it those go that were used longest ago, within five minutes.",
        initial="20000",
        needed=True,
    )

    def __init__(
        self,
        *args: Any,
        keys: list[ApiKey],
        guards: tuple[GuardRule, ...] = (),
        is_read_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.keys, self.guards = keys, guards
        choices = [("", "As the project's"), *_PRIORITIES]
        for key in keys:
            self.fields[_name(key)] = forms.ChoiceField(
                required=False, label=key.name or str(key), choices=choices
            )
        for field in self.fields.values():
            field.disabled = is_read_only

    @property
    def key_fields(self) -> list[forms.BoundField]:
        """The priorities of keys."""
        return [self[_name(key)] for key in self.keys]

    def changes(self) -> dict[str, Any]:
        """What valid fields say."""
        data = self.cleaned_data
        found: dict[str, Any] = {name: data[name] for name in _PLAIN}
        found["job_keep_s"] = round(data["job_keep_days"] * _DAY_S)
        found["cache"] = self.cache_rule()
        found["compact"] = self.compact_rule()
        if self.has_guards:
            found["guards"] = self.guard_rules()
        found["key_priorities"] = {
            key.pk.hex: data[_name(key)] for key in self.keys if data[_name(key)]
        }
        return found

    def paths(self) -> list[tuple[str, str]]:
        """Rules' paths and their fields."""
        return [*parts.rule_paths(), *self.guard_paths(), ("job_keep_s", "job_keep_days")]


def settings_initial(rules: ProjectRules) -> dict[str, Any]:
    """The rules as the form shows them."""
    shown: dict[str, Any] = {name: getattr(rules, name) for name in _PLAIN}
    shown |= parts.cache_initial(rules.cache)
    shown |= parts.compact_initial(rules.compact)
    shown |= guards_initial(rules.guards)
    shown["job_keep_days"] = round(rules.job_keep_s / _DAY_S, 4)
    shown |= {f"key_{pk}": said for pk, said in rules.key_priorities.items()}
    return parts.plain(shown)


def _name(key: ApiKey) -> str:
    return f"key_{key.pk.hex}"
