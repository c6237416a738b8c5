"""What a check must say to be saved (pure)."""

from core.masking import MAX_PATTERN_LENGTH, MAX_PATTERNS, MaskingError, validate
from core.masking_builtins import BY_NAME
from gateway.guards.finding import LOOKS, PERSONAL, detectors
from gateway.structs import GuardRule

# What people call the kinds of checks, in the order forms show them.
KINDS = {
    "pii": "Personal data", "secrets": "Secrets", "patterns": "Banned patterns", "injection": "Prompt injection",
    "json_schema": "Answers that are not the JSON asked for", "max_tokens": "Too long answers asked for",
    "allowed_models": "Other models than these",
}  # fmt: skip
_ONE_OR_THE_OTHER = ("allowed_models", "injection")


class GuardRuleError(ValueError):
    """A field of a check that cannot be so."""

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(f"{field}: {value!r}: {rule}")
        self.field, self.value, self.rule = field, value, rule


def check_guard(path: str, rule: GuardRule) -> None:
    """Raises GuardRuleError naming the field below `path`, its value and what it must be."""
    if rule.kind == "max_tokens" and rule.limit is None:
        raise GuardRuleError(f"{path}.limit", "nothing", "say how many tokens are allowed.")
    if rule.kind == "allowed_models" and not rule.names:
        raise GuardRuleError(f"{path}.names", "nothing", "name at least one model.")
    if rule.kind in _ONE_OR_THE_OTHER and rule.action == "mask":
        raise GuardRuleError(f"{path}.action", "mask", "this check can only block or flag.")
    if rule.kind not in (*LOOKS, "json_schema") and rule.on != "input":
        raise GuardRuleError(f"{path}.on", rule.on, "this check is of requests: input.")
    if rule.kind == "json_schema" and rule.on == "both":
        raise GuardRuleError(f"{path}.on", rule.on, "this check is of answers: output.")
    if rule.kind == "pii":
        for name in rule.names:
            if name not in PERSONAL:
                known = ", ".join(PERSONAL)
                raise GuardRuleError(f"{path}.names", name, f"choose from {known}.")
    if rule.kind == "patterns":
        _check_patterns(f"{path}.patterns", rule)


def _check_patterns(path: str, rule: GuardRule) -> None:
    if not 0 < len(rule.patterns) <= MAX_PATTERNS:
        said = f"give 1 to {MAX_PATTERNS} patterns."
        raise GuardRuleError(path, f"{len(rule.patterns)} patterns", said)
    for pattern in rule.patterns:
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise GuardRuleError(path, pattern, f"at most {MAX_PATTERN_LENGTH} characters.")
        try:
            validate({"patterns": [{"name": "pattern", "pattern": pattern}]})
        except MaskingError as error:
            raise GuardRuleError(path, pattern, error.detail) from None
    detectors(rule)


def labels() -> dict[str, str]:
    """The kinds of personal data, for people."""
    return {name: BY_NAME[name].label for name in PERSONAL}
