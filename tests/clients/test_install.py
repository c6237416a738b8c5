"""What the tests of a real client do where it is not there."""

from pathlib import Path

import pytest

from tests.clients import install
from tests.clients.run import require


def test_every_client_pins_what_it_needs_and_has_a_program():
    assert {"langfuse", "logfire", "mlflow", "official", "traceloop", "vercel"} <= set(
        install.names()
    )
    for name in install.names():
        assert list((install.HERE / name).glob("program.*")), name
        for line in (install.HERE / name / "requirements.txt").read_text().splitlines():
            assert line.startswith("#") or "==" in line, (name, line)


def test_a_client_nobody_installed_fails_and_says_what_to_do(tmp_path: Path):
    with pytest.raises(pytest.fail.Exception, match="make clients"):
        require("langfuse", tmp_path)


def test_a_client_that_cannot_be_installed_leaves_its_test_out_saying_why(tmp_path: Path):
    (tmp_path / "langfuse").mkdir()
    (tmp_path / "langfuse" / install.FAILURE).write_text("no package index")
    with pytest.raises(pytest.skip.Exception, match="no package index"):
        require("langfuse", tmp_path)


def test_other_pins_make_an_installation_stale(tmp_path: Path):
    (tmp_path / "langfuse").mkdir()
    stamp = tmp_path / "langfuse" / install.STAMP
    stamp.write_text(install.wanted("langfuse"))
    require("langfuse", tmp_path)
    stamp.write_text(install.wanted("logfire"))
    assert not install.is_installed("langfuse", tmp_path)
