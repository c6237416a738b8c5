"""What every command starts with: who you are and where."""

from __future__ import annotations

import typer

from llmlab.cli import profiles
from llmlab.cli.api import Api
from llmlab.cli.errors import CliError
from llmlab.cli.profiles import Profile


def profile_of(context: typer.Context) -> Profile:
    """The profile that `--profile`, the environment or the last login names."""
    return profiles.find(str((context.obj or {}).get("profile", "")))


def api_of(context: typer.Context) -> Api:
    """The API of the profile's project; a key without a project in its settings is asked for its own."""
    profile = profile_of(context)
    api = Api(profile.address, profile.key, profile.project)
    if not api.project:
        api.project = own_project(api)
    return api


def own_project(api: Api) -> str:
    """The slug of the one project a key opens."""
    found = api.get("/api/v1/projects")
    rows = found.get("results") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise CliError(f"{api.address} did not answer as LLMLab does; check the address.")
    if len(rows) != 1:
        raise CliError("The key opens no project. Name one: LLMLAB_PROJECT=my_project")
    return str(rows[0]["slug"])
