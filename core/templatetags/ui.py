"""Template tags for the interface: icons, navigation, query strings, folding JSON."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django import template
from django.http import HttpRequest, QueryDict
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from core.json_view import json_tree

register = template.Library()


@register.simple_tag
def icon(name: str, extra: str = "", label: str = "") -> SafeString:
    """One symbol of the sprite. Decorative unless `label` says what it means."""
    href = f"{icon_path()}#{name}"
    css = f"ico {extra}".strip()
    if label:
        return format_html(
            '<svg class="{}" role="img" aria-label="{}"><use href="{}"/></svg>', css, label, href
        )
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"/></svg>', css, href)


@register.simple_tag
@cache
def icon_path() -> str:
    """Where the sprite is, for icons made in the browser too. Asked once per process: a page has up to 2,000 icons."""
    return static("img/icons.svg")


@register.simple_tag
def attrs(**values: Any) -> SafeString:
    """HTML attributes from keywords: `_` becomes `-`; None and False vanish; True is a bare attribute."""
    parts = []
    for name, value in values.items():
        if value is None or value is False or value == "":
            continue
        key = name.rstrip("_").replace("_", "-")
        parts.append(key if value is True else format_html('{}="{}"', key, value))
    return mark_safe(" ".join(conditional_escape(part) for part in parts))  # noqa: S308 - every part is escaped


@register.inclusion_tag("components/nav_item.html", takes_context=True)
def nav_item(
    context: template.Context,
    url_name: str,
    label: str,
    icon_name: str,
    active: str = "",
    shortcut: str = "",
    badge: str = "",
    **kwargs: Any,
) -> dict[str, Any]:
    """A sidebar link. `active` is a space-separated list of view-name prefixes that light it up; `badge` names a place
    at its end that an out-of-band swap fills."""
    return {
        "href": reverse(url_name, kwargs=kwargs or None),
        "label": label,
        "icon_name": icon_name,
        "current": is_active(context, active or url_name),
        "shortcut": shortcut,
        "badge": badge,
    }


@register.simple_tag(takes_context=True)
def is_active(context: template.Context, prefixes: str) -> bool:
    """Whether the current view's name starts with one of `prefixes`."""
    request: HttpRequest | None = context.get("request")
    match = getattr(request, "resolver_match", None)
    view_name = match.view_name if match else ""
    return any(view_name.startswith(prefix) for prefix in prefixes.split()) if view_name else False


@register.simple_tag(takes_context=True)
def query_with(
    context: template.Context, param_name: str = "", param_value: Any = None, **changes: Any
) -> str:
    """`?…` of this page with some parameters replaced, dropped (None) or repeated (a list).

    `param_name` and `param_value` set one more whose name is only known at run time.
    """
    if param_name:
        changes[param_name] = param_value
    request: HttpRequest | None = context.get("request")
    params = request.GET.copy() if request else QueryDict(mutable=True)
    for name, value in changes.items():
        params.pop(name, None)
        if isinstance(value, list | tuple):
            params.setlist(name, [str(item) for item in value])
        elif value is not None and value != "":
            params[name] = str(value)
    encoded = params.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag(takes_context=True)
def sort_header(
    context: template.Context,
    label: str,
    key: str,
    param: str = "sort",
    default: str = "",
    first: str = "-",
) -> SafeString:
    """The inside of a `<th>`: a link that sorts by `key`, then turns round. Pair with `sort_state` on the `<th>`."""
    current = _sort_of(context, param, default)
    state = "descending" if current == f"-{key}" else "ascending" if current == key else ""
    following = {"descending": key, "ascending": f"-{key}"}.get(state, f"{first}{key}")
    arrow = {"descending": icon("arrow-down"), "ascending": icon("arrow-up")}.get(state, "")
    href = query_with(context, param, following, cursor=None, after=None, before=None)
    return format_html('<a href="{}" data-sort>{}{}</a>', href, label, arrow)


@register.simple_tag(takes_context=True)
def sort_state(
    context: template.Context, key: str, param: str = "sort", default: str = ""
) -> SafeString:
    """`aria-sort="…"` for the `<th>` of `key`, or nothing."""
    current = _sort_of(context, param, default)
    state = "descending" if current == f"-{key}" else "ascending" if current == key else ""
    return format_html(' aria-sort="{}"', state) if state else mark_safe("")


def _sort_of(context: template.Context, param: str, default: str) -> str:
    request: HttpRequest | None = context.get("request")
    return (request.GET.get(param) if request else None) or default


@register.simple_tag
def json_view(value: Any, open_depth: int = 2) -> SafeString:
    """A folding tree of a JSON value; capped, so any payload renders."""
    return json_tree(value, open_depth=open_depth)


@register.simple_tag
def fold(text: Any, cap: int = 1200) -> dict[str, Any]:
    """A long text as `head`, `rest` and `rest_length`; cut at a space near `cap`."""
    whole = "" if text is None else str(text)
    if len(whole) <= cap + 200:
        return {"head": whole, "rest": "", "rest_length": 0}
    at = whole.rfind(" ", cap - 80, cap)
    at = at if at > 0 else cap
    return {"head": whole[:at], "rest": whole[at:], "rest_length": len(whole) - at}


@register.filter
def get_item(mapping: Mapping[Any, Any] | None, key: Any) -> Any:
    """`mapping[key]`, or None."""
    return mapping.get(key) if mapping else None
