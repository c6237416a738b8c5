"""What every alert page says of channels that switched themselves off."""

from django import template

from accounts.models import Organization
from alerts.channel_pages import selectors
from alerts.models import Channel

register = template.Library()


@register.simple_tag
def broken_channels(organization: Organization) -> list[Channel]:
    """One query."""
    return selectors.broken_channels(organization.pk)
