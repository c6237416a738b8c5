"""Which addresses are calls to a model, known by the end of their path whatever the host or prefix."""

import re
from typing import NamedTuple, Optional
from urllib.parse import unquote, urlsplit

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com")
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/")
_BEDROCK = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)$")
_VERTEX = re.compile(r"/models/([^/:]+):(rawPredict|streamRawPredict)$")
# Assistants keep their messages under this path; nothing is generated there.
_THREAD = re.compile(r"/threads/[^/]+/messages$")
_OPENAI = (
    ("/chat/completions", "chat", "chat"),
    ("/responses", "responses", "chat"),
    ("/embeddings", "embeddings", "embeddings"),
    ("/completions", "completions", "text_completion"),
)


class Endpoint(NamedTuple):
    """What an address stands for: `shape` says how its bodies are read."""

    shape: str
    operation: str
    provider: str
    host: str
    model: str = ""
    is_stream: bool = False


def endpoint_of(method: str, url: str) -> Optional[Endpoint]:
    """The endpoint behind an address; None for what is not recorded."""
    if method.upper() != "POST":
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    path = parts.path.rstrip("/")
    if _THREAD.search(path):
        return None
    if path.endswith("/messages/batches"):
        return Endpoint("batches", "messages.batches", "anthropic", host)
    if path.endswith("/messages"):
        return Endpoint("messages", "chat", "anthropic", host)
    return _openai(host, path) or _hosted(host, path)


def _openai(host: str, path: str) -> Optional[Endpoint]:
    for end, shape, operation in _OPENAI:
        if path.endswith(end):
            deployment = _DEPLOYMENT.search(path)
            is_azure = deployment is not None or host.endswith(_AZURE_HOSTS)
            model = unquote(deployment.group(1)) if deployment else ""
            return Endpoint(shape, operation, "azure" if is_azure else "openai", host, model)
    return None


def _hosted(host: str, path: str) -> Optional[Endpoint]:
    """Anthropic's models at Amazon and Google, who put the model into the path."""
    for pattern, provider in ((_BEDROCK, "aws.bedrock"), (_VERTEX, "gcp.vertex_ai")):
        found = pattern.search(path)
        if found:
            is_stream = "stream" in found.group(2).lower()
            model = unquote(found.group(1))
            return Endpoint("messages", "chat", provider, host, model, is_stream)
    return None
