"""Where the gateway's pages are: its tabs and its place in the menu."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse

register = template.Library()


@dataclass(frozen=True)
class Place:
    """A tab: `tab` is what its pages call it."""

    tab: str
    label: str
    href: str


# Tab, label, url name, whether its pages are the organisation's and not a project's.
_TABS = (
    ("overview", "Overview", "gateway:overview", False),
    ("playground", "Playground", "gateway:playground", False),
    ("requests", "Requests", "gateway:request_list", False),
    ("batches", "Batches", "gateway:batch_list", False),
    ("routes", "Routes", "gateway:route_list", False),
    ("cache", "Cache", "gateway:cache", False),
    ("limits", "Limits", "gateway:limit_list", True),
    ("connections", "Connections", "gateway:connection_list", True),
    ("settings", "Settings", "gateway:settings", False),
)


def places_of(shell: Any) -> list[Place]:
    """The pages there are for this organisation and the project one was in last. No query beside the shell's."""
    found = []
    for tab, label, name, is_organizations in _TABS:
        place = shell.organization if is_organizations else shell.project
        slug = getattr(place, "slug" if is_organizations else "ref", "")
        if not slug:
            continue
        try:
            found.append(Place(tab, label, reverse(name, kwargs={"slug": slug})))
        except NoReverseMatch:
            continue
    return found


@register.simple_tag(takes_context=True)
def gateway_places(context: template.Context) -> list[Place]:
    """The tabs of the gateway."""
    return places_of(context["shell"])


@register.inclusion_tag("components/nav_item.html", takes_context=True)
def gateway_nav(context: template.Context) -> dict[str, Any]:
    """The menu's entry: it leads to the first of the tabs, and is lit on all of them."""
    places = places_of(context["shell"])
    match = getattr(context.get("request"), "resolver_match", None)
    return {
        "href": places[0].href if places else "",
        "label": "Gateway",
        "icon_name": "waypoints",
        "current": bool(match and match.view_name.startswith("gateway:")),
        "shortcut": "g g",
    }
