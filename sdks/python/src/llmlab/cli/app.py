"""The commands in one application, and the edge where every failure becomes a line and an exit code."""

import io
import os
import sys
from typing import Annotated, Optional

import typer

from llmlab.cli.commands import (
    budget,
    check,
    costs,
    doctor,
    exporting,
    importing,
    keys,
    login,
    tail,
    traces,
)
from llmlab.cli.errors import INTERRUPTED, OK, TROUBLE, CliError
from llmlab.version import __version__

EPILOG = "Exit codes: 0 done; 1 the check failed or rows were refused; 2 usage, key or connection; 130 interrupted."
ENVIRONMENT = "LLMLAB_API_KEY with LLMLAB_BASE_URL and LLMLAB_PROJECT take the place of a login, in pipelines."

app = typer.Typer(
    name="llmlab",
    help=f"LLMLab: costs and traces of your LLM calls. {ENVIRONMENT}",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmlab {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    profile: Annotated[
        str,
        typer.Option(
            "--profile", "-p", help="Which login to use; also LLMLAB_PROFILE.", show_default=False
        ),
    ] = "",
    version: Annotated[
        Optional[bool],
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = None,
) -> None:
    """What holds for every command."""
    context.obj = {"profile": profile}


app.command()(login.login)
app.command()(login.logout)
app.command()(login.projects)
app.add_typer(keys.app, name="keys")
app.command()(costs.costs)
app.add_typer(budget.app, name="budget")
app.add_typer(traces.app, name="traces")
traces.app.command()(tail.tail)
app.command("import")(importing.import_files)
app.command()(exporting.export)
app.command()(doctor.doctor)
app.command()(check.check)


def run(arguments: list[str]) -> int:
    """The exit code. Says what went wrong in one line on stderr, never with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal of another encoding shows what it can
    try:
        found = typer.main.get_command(app).main(
            arguments, prog_name="llmlab", standalone_mode=False
        )
        return found if isinstance(found, int) else OK
    except CliError as error:
        return _fail(error.message, error.code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return _seen_enough()
    except SystemExit as error:
        # Shell completion ends so, with 0; Typer and Rich turn a broken pipe into 1.
        return _seen_enough() if error.code == 1 else OK
    except Exception as error:
        return _usage(error)


def _seen_enough() -> int:
    """The reader (head, less) went away: no error. Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


def _usage(error: Exception) -> int:
    """Errors of Typer's parser, of whichever package they are; anything else is a bug and shows itself."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    sentence = getattr(error, "format_message", None)
    if sentence is None:
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":
        return TROUBLE  # a group without a command: its help was shown
    path = getattr(getattr(error, "ctx", None), "command_path", "llmlab")
    line = sentence().rstrip(".")
    return _fail(f"{line}. See: {path} --help", TROUBLE)


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"llmlab: {line}\n")
    return code
