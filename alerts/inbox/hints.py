"""Tell open pages to read the bell again. A lost hint costs nothing but time: pages ask again by themselves."""

from typing import Any
from uuid import UUID

from core import live

_CHANGED = {"type": "alerts.changed"}


def organization_group(organization_id: UUID) -> str:
    """The channel group of every open page of an organisation."""
    return f"alerts.{organization_id.hex}"


def person_group(organization_id: UUID, user_id: UUID) -> str:
    """The channel group of one person's open pages of an organisation."""
    return f"alerts.{organization_id.hex}.{user_id.hex}"


def tell_pages(sender: Any, *, organization_id: UUID | None, **_: Any) -> None:
    """Receiver of alerts.signals.events_changed. What is about the installation itself has no bell."""
    if organization_id is not None:
        live.notify(organization_group(organization_id), _CHANGED)


def tell_person(organization_id: UUID, user_id: UUID) -> None:
    """This person's other pages: something was read here."""
    live.notify(person_group(organization_id, user_id), _CHANGED)
