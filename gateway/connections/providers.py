"""The kinds of providers: what each speaks, where it is, what a connection of it needs, and what it is known to serve.

Pure but for the price catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from costs.catalogue import current_catalogue
from gateway.models import ProviderKind
from gateway.structs import Dialect

_OPENAI = frozenset({Dialect.CHAT, Dialect.RESPONSES, Dialect.COMPLETIONS, Dialect.EMBEDDINGS})
_ANTHROPIC = frozenset({Dialect.MESSAGES, Dialect.COUNT_TOKENS})
# Below the base address, which for all but Anthropic ends in the API's version.
PATHS = {
    Dialect.CHAT: "/chat/completions",
    Dialect.RESPONSES: "/responses",
    Dialect.COMPLETIONS: "/completions",
    Dialect.EMBEDDINGS: "/embeddings",
    Dialect.MESSAGES: "/v1/messages",
    Dialect.COUNT_TOKENS: "/v1/messages/count_tokens",
}
# Azure's older address names the deployment, but not for these.
_UNDEPLOYED = frozenset({Dialect.RESPONSES})
# What prices call a server that charges nothing by token.
UNPRICED = "openai_compatible"


class HasProvider(Protocol):
    """A snapshot's ConnectionView or a Connection row."""

    @property
    def kind(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...


class HasModels(HasProvider, Protocol):
    @property
    def model_names(self) -> Any: ...


@dataclass(frozen=True)
class Field:
    """A setting of a connection that is no secret."""

    name: str
    label: str
    help: str = ""
    kind: Literal["text", "switch"] = "text"
    max_length: int = 100


@dataclass(frozen=True)
class Provider:
    """One kind of provider."""

    kind: ProviderKind
    name: str
    about: str
    native: frozenset[Dialect]
    # As prices name it; empty: the connection's `provider` setting says.
    price_provider: str
    base_url: str = ""
    address_help: str = ""
    key_label: str = "API key"
    key_help: str = ""
    needs_key: bool = True
    fields: tuple[Field, ...] = ()
    # Names that belong to it although the price catalogue may not know them (yet).
    prefixes: tuple[str, ...] = ()
    models_help: str = ""

    @property
    def needs_address(self) -> bool:
        return not self.base_url


PROVIDERS: dict[str, Provider] = {
    one.kind: one
    for one in (
        Provider(
            ProviderKind.OPENAI,
            "OpenAI",
            "Chat completions, responses, embeddings.",
            _OPENAI,
            "openai",
            base_url="https://api.openai.com/v1",
            address_help="Empty: https://api.openai.com/v1. A regional address or a proxy of yours may stand here.",
            key_help="A project or service account key that may call models.",
            fields=(
                Field("organization", "Organisation id", "Sent as OpenAI-Organization; empty for most keys."),
                Field("project", "Project id", "Sent as OpenAI-Project; empty for project keys."),
            ),
            prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "codex-", "text-embedding-", "ft:", "omni-moderation"),
            models_help="Empty: every model that OpenAI is known for.",
        ),
        Provider(
            ProviderKind.ANTHROPIC,
            "Anthropic",
            "Messages and token counts.",
            _ANTHROPIC,
            "anthropic",
            base_url="https://api.anthropic.com",
            address_help="Empty: https://api.anthropic.com. A proxy of yours may stand here, without /v1.",
            key_help="A key of a workspace that may call models.",
            prefixes=("claude-",),
            models_help="Empty: every model that Anthropic is known for.",
        ),
        Provider(
            ProviderKind.AZURE,
            "Azure OpenAI",
            "OpenAI's models in your Azure subscription.",
            _OPENAI,
            "azure",
            address_help="The resource's endpoint, such as https://my-resource.openai.azure.com.",
            key_help="Key 1 or key 2 of the resource; with both added, either may be rotated.",
            fields=(
                Field(
                    "api_version",
                    "API version",
                    "Empty: the newer address /openai/v1/, which needs none. A date such as 2024-10-21: the older"
                    " address with a deployment in it.",
                    max_length=40,
                ),
            ),
            models_help="The deployments' names. The first one answers the test.",
        ),
        Provider(
            ProviderKind.GEMINI,
            "Google Gemini",
            "Through Google's OpenAI-compatible endpoint.",
            frozenset({Dialect.CHAT, Dialect.EMBEDDINGS}),
            "google",
            base_url="https://generativelanguage.googleapis.com/v1beta/openai",
            address_help="Empty: https://generativelanguage.googleapis.com/v1beta/openai.",
            key_help="A key of the Gemini API from Google AI Studio.",
            prefixes=("gemini-", "gemma-", "text-embedding-004"),
            models_help="Empty: every model that Google is known for.",
        ),
        Provider(
            ProviderKind.COMPATIBLE,
            "OpenAI-compatible server",
            "vLLM, Ollama, LM Studio, OpenRouter, LiteLLM or any other that speaks OpenAI's wire.",
            frozenset({Dialect.CHAT, Dialect.COMPLETIONS, Dialect.EMBEDDINGS}),
            "",
            address_help="With its version, such as https://openrouter.ai/api/v1 or http://10.0.0.7:8000/v1.",
            key_help="Empty when the server asks for none.",
            needs_key=False,
            fields=(
                Field(
                    "provider",
                    "Provider in prices",
                    "By whose prices calls are charged, such as openrouter or groq. Empty: a server of your own,"
                    " which has no price by token.",
                ),
                Field("responses", "Speaks the Responses API", "It answers /responses too.", kind="switch"),
            ),
            models_help="The models it serves; test the connection to see what it offers. Empty: only routes use it.",
        ),
    )
}  # fmt: skip


def address_of(view: HasProvider) -> str:
    """The base address, without a slash at its end."""
    return (view.base_url or PROVIDERS[view.kind].base_url).rstrip("/")


def dialects_of(kind: str, settings: Mapping[str, Any]) -> frozenset[Dialect]:
    """The wires a connection speaks by itself; others are translated (gateway.dialects)."""
    native = PROVIDERS[kind].native
    return native | {Dialect.RESPONSES} if settings.get("responses") else native


def price_provider(view: HasProvider) -> str:
    """Whose prices hold for its calls, as costs names providers."""
    said = PROVIDERS[view.kind].price_provider or str(view.settings.get("provider") or "")
    return said or UNPRICED


def path_of(view: HasProvider, dialect: Dialect, model: str) -> str:
    """What to give the SDK's client for a call: `await client.post(path_of(…), …)`."""
    path = PATHS[dialect]
    if view.kind == ProviderKind.AZURE and view.settings.get("api_version"):
        return path if dialect in _UNDEPLOYED else f"/deployments/{_segment(model)}{path}"
    return path


def _segment(text: str) -> str:
    """One segment of a path: what would end it, climb out of it or begin a query is written as its code."""
    if text in (".", ".."):
        return text.replace(".", "%2E")
    return "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in "-._~") else _code(sign)
        for sign in text
    )


def _code(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode())


def serves(view: HasModels, model: str) -> bool:
    """Whether a call that names `model`, and that no route names, may go there."""
    if view.model_names:
        return model in view.model_names
    provider = PROVIDERS[view.kind]
    if model.startswith(provider.prefixes):
        return True
    if not provider.prefixes:
        return False
    return not isinstance(current_catalogue().find(provider.price_provider, model, ""), str)


def known_models(kind: str) -> tuple[str, ...]:
    """Models by which prices know a kind of provider, for fields that suggest names. Empty for servers of one's own."""
    provider = PROVIDERS[kind].price_provider
    for one in current_catalogue().snapshot.providers:
        if one.id == provider:
            return tuple(
                model.id for model in one.models if not getattr(model, "deprecated", False)
            )
    return ()
