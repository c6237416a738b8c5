"""Words of reconciliation pages."""

from django import template

from costs.labels import label_of

register = template.Library()


@register.filter
def provider_name(provider: str) -> str:
    """`openai` as people write it."""
    return label_of("provider", provider)
