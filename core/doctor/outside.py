"""Doctor's checks of how the world and this instance reach each other: base URL, port, e-mail."""

import json
import os
import socket
import urllib.request
from urllib.parse import urlsplit

from django.conf import settings

from core.doctor.findings import Finding, fail, ok, warn


def address() -> list[Finding]:
    """The base URL is one this instance accepts, and the port is ours or free."""
    findings = []
    url = urlsplit(settings.LLMLAB_BASE_URL)
    hosts = settings.ALLOWED_HOSTS
    if not url.hostname or url.scheme not in {"http", "https"}:
        advice = "Set LLMLAB_BASE_URL to the address people type, e.g. https://llmlab.example.org"
        findings.append(fail("base URL", settings.LLMLAB_BASE_URL, advice))
    elif "*" not in hosts and not any(
        url.hostname == host or (host.startswith(".") and url.hostname.endswith(host))
        for host in hosts
    ):
        advice = f"Add {url.hostname} to LLMLAB_ALLOWED_HOSTS."
        findings.append(fail("base URL", f"{url.hostname} is not an allowed host", advice))
    else:
        findings.append(ok("base URL", settings.LLMLAB_BASE_URL))
    return [*findings, _port()]


def _port() -> Finding:
    port = int(os.environ.get("PORT") or 8000)
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return ok("port", f"{port} is free: LLMLab does not run on it now")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        found = {}
    if found.get("service") == "llmlab":
        return ok("port", f"LLMLab {found.get('version')} answers on {port}")
    return warn(
        "port", f"{port} is taken by another program", f"Choose another: PORT={port + 1} make run"
    )


def email() -> list[Finding]:
    """A mail server is named and answers."""
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        detail = f"{settings.EMAIL_BACKEND.rsplit('.', 2)[-2]} backend: nothing leaves this machine"
        return [
            warn("e-mail", detail, "Set LLMLAB_EMAIL_HOST (and _PORT, _USER, _PASSWORD, _TLS).")
        ]
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        socket.create_connection((settings.EMAIL_HOST, settings.EMAIL_PORT), timeout=3).close()
    except OSError as error:
        return [
            warn("e-mail", f"{where}: {error}", "Check LLMLAB_EMAIL_HOST and LLMLAB_EMAIL_PORT.")
        ]
    return [ok("e-mail", where)]
