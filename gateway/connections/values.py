"""What somebody gave for a connection, checked and in the form it is stored in."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from core.errors import DomainError
from core.http import check_url
from gateway.connections.providers import PROVIDERS, Field, Provider
from gateway.models import ProviderKind

MAX_MODELS, MAX_MODEL_NAME = 500, 200
MAX_KEY = 500
_V1 = (ProviderKind.OPENAI, ProviderKind.COMPATIBLE)


def provider_for(kind: Any) -> Provider:
    """Raises DomainError naming the kinds there are."""
    found = PROVIDERS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise DomainError(
            f"kind is {str(kind)[:40]!r}; it must be one of {', '.join(PROVIDERS)}.",
            fields=["kind"],
        )
    return found


def clean_address(provider: Provider, text: Any) -> str:
    """The base address without a slash at its end; empty: the provider's own. Somebody may be called there only if
    core.outbound lets them. Raises DomainError naming `base_url`."""
    if not isinstance(text, str):
        raise DomainError("base_url must be text.", fields=["base_url"])
    text = text.strip().rstrip("/")
    if not text:
        if provider.needs_address:
            raise DomainError("base_url is needed: where the server is.", fields=["base_url"])
        return ""
    try:
        check_url(text)
    except DomainError as error:
        raise DomainError(error.detail, code=error.code, fields=["base_url"]) from None
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        raise DomainError("base_url must end with its path: no ? and no #.", fields=["base_url"])
    found = urlunsplit(
        (parts.scheme, parts.netloc.lower(), _path(provider.kind, parts.path), "", "")
    )
    if len(found) > 500:
        raise DomainError("base_url has at most 500 characters.", fields=["base_url"])
    return "" if found == provider.base_url else found


def _path(kind: str, path: str) -> str:
    """What people leave out or add: the version, and what the SDK appends itself."""
    if kind in _V1:
        return path.removesuffix("/chat/completions") or "/v1"
    if kind == ProviderKind.ANTHROPIC:
        return path.removesuffix("/messages").removesuffix("/v1")
    if kind == ProviderKind.AZURE:
        return path.removesuffix("/v1").removesuffix("/openai")
    return path


def clean_settings(provider: Provider, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is set, without what is empty. Raises DomainError naming the field."""
    known = {field.name: field for field in provider.fields}
    for name in values:
        if name not in known:
            shown = ", ".join(known) or "none for this kind"
            raise DomainError(
                f"{str(name)[:40]} is unknown; settings are {shown}.", fields=[str(name)[:40]]
            )
    cleaned = {name: _setting(known[name], value) for name, value in values.items()}
    return {name: value for name, value in cleaned.items() if value}


def _setting(field: Field, value: Any) -> str | bool:
    if field.kind == "switch":
        if not isinstance(value, bool):
            raise DomainError(f"{field.name} must be true or false.", fields=[field.name])
        return bool(value)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > field.max_length:
        raise DomainError(
            f"{field.name} must be text of at most {field.max_length} characters.",
            fields=[field.name],
        )
    text: str = value.strip()
    # It becomes part of a header or an address.
    if not text.isascii() or not all(sign.isalnum() or sign in "-_.:/" for sign in text):
        raise DomainError(
            f"{field.name} may have letters, digits and - _ . : / only.", fields=[field.name]
        )
    return text


def clean_models(names: Iterable[Any]) -> list[str]:
    """Names in their order, each once. Raises DomainError naming `model_names`."""
    found: dict[str, None] = {}
    for name in names:
        text = name.strip() if isinstance(name, str) else ""
        if not text or len(text) > MAX_MODEL_NAME or not text.isprintable() or " " in text:
            raise DomainError(
                f"{str(name)[:60]!r} is no model name: 1 to {MAX_MODEL_NAME} characters without blanks.",
                fields=["model_names"],
            )
        found[text] = None
    if len(found) > MAX_MODELS:
        raise DomainError(f"There are at most {MAX_MODELS} model names.", fields=["model_names"])
    return list(found)


def clean_key(text: Any) -> str:
    """A provider's key as it is sent in a header. Raises DomainError naming `secret`."""
    key = text.strip() if isinstance(text, str) else ""
    if not key or len(key) > MAX_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise DomainError(
            f"The key must have 1 to {MAX_KEY} characters, without blanks or line breaks.",
            fields=["secret"],
        )
    return key


def clean_weight(value: Any) -> int:
    """Raises DomainError naming `weight`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise DomainError(
            f"weight is {str(value)[:40]!r}; it must be a whole number from 1 to 100.",
            fields=["weight"],
        )
    return value


def origin_of(address: str) -> tuple[str, str]:
    """Scheme and host with port: where a key is sent to."""
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()
