"""Words of price pages."""

from django import template

from costs.model_lists import CLASS_WORDS

register = template.Library()


@register.filter
def class_words(token_class: str) -> str:
    """`cache_write_1h` as people say it."""
    return CLASS_WORDS.get(token_class, token_class.replace("_", " "))
