"""What `make sdk-test` does where a tool is missing or a suite fails."""

import pytest

from sdks import suites


def missing() -> None:
    raise suites.MissingToolError("Install it.")


def failing() -> None:
    raise suites.FailedError("go ended with 1")


def test_what_has_no_tools_is_left_out_with_a_sentence() -> None:
    said: list[str] = []
    done: list[str] = []
    steps = {"python": missing, "go": lambda: done.append("go")}
    assert suites.run(steps, [], needs_all=False, say=said.append) == 0
    assert (said, done) == (["sdks: python is left out. Install it.\n"], ["go"])


def test_where_all_must_run_a_missing_tool_is_a_failure() -> None:
    assert suites.run({"go": missing}, [], needs_all=True, say=str) == 1
    assert suites.run({"go": missing, "python": suites.nothing}, ["python"], needs_all=True, say=str) == 0  # fmt: skip


def test_a_failure_lets_the_others_run_and_decides_the_end() -> None:
    said: list[str] = []
    done: list[str] = []
    steps = {"python": failing, "go": lambda: done.append("go")}
    assert suites.run(steps, [], needs_all=False, say=said.append) == 1
    assert (said, done) == (["sdks: python failed: go ended with 1\n"], ["go"])


def test_without_go_or_apt_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(suites.MissingToolError, match="apt-get install golang-go"):
        suites.go_install()
    with pytest.raises(suites.MissingToolError, match="make sdk-install"):
        suites.go_test()


def test_every_language_has_every_action() -> None:
    for action, steps in suites.STEPS.items():
        assert list(steps) == ["python", "javascript", "go"], action


def test_a_suite_that_failed_is_tried_once_more_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[str] = []

    def fails() -> None:
        tries.append("first")
        raise suites.FailedError("pytest ended with 1")

    def again() -> None:
        tries.append("again")

    monkeypatch.setitem(suites.AGAIN, fails, again)
    said: list[str] = []
    assert suites.run({"python": fails}, [], needs_all=False, say=said.append) == 0
    assert tries == ["first", "again"]
    assert said == ["sdks: python failed (pytest ended with 1); once more:\n"]
    monkeypatch.setitem(suites.AGAIN, fails, fails)
    assert suites.run({"python": fails}, [], needs_all=False, say=said.append) == 1
