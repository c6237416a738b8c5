"""JSON schemas of answers, as each provider takes them (pure)."""

from typing import Any

# Limits Anthropic's structured output refuses; a description keeps them readable for the model.
_REFUSED = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
        "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties",
    }
)  # fmt: skip
_UNKNOWN_TO_GOOGLE = frozenset(
    {
        "$schema", "$id", "$comment", "additionalProperties", "propertyNames", "patternProperties",
        "unevaluatedProperties", "exclusiveMinimum", "exclusiveMaximum", "if", "then", "else",
        "not", "contentEncoding", "contentMediaType", "dependentRequired",
    }
)  # fmt: skip
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
MAX_DEPTH = 40


def closed(schema: Any, depth: int = 0) -> Any:
    """The schema with every object closed and limits moved into descriptions, as Anthropic's structured output asks."""
    if type(schema) is not dict or depth > MAX_DEPTH:
        return schema
    made: dict[str, Any] = {}
    limits: list[str] = []
    for key, value in schema.items():
        if key in _REFUSED or (key == "minItems" and value not in (0, 1)):
            limits.append(f"{key}: {value}")
        elif key in _MAPS and type(value) is dict:
            made[key] = {name: closed(inner, depth + 1) for name, inner in value.items()}
        elif key in _LISTS and type(value) is list:
            name = "anyOf" if key == "oneOf" else key
            made[name] = [closed(inner, depth + 1) for inner in value]
        elif key == "items":
            made[key] = closed(value, depth + 1)
        else:
            made[key] = value
    if made.get("type") == "object" or "properties" in made:
        made["additionalProperties"] = False
    if limits:
        about = [text for text in (made.get("description"), f"({', '.join(limits)})") if text]
        made["description"] = " ".join(about)
    return made


def for_google(schema: Any, depth: int = 0) -> Any:
    """A tool's schema without the words Google's compatible endpoint answers with 400 for."""
    if type(schema) is not dict or depth > MAX_DEPTH:
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _MAPS and type(value) is dict:
            made[key] = {name: for_google(inner, depth + 1) for name, inner in value.items()}
        elif key in _LISTS and type(value) is list:
            name = "anyOf" if key == "oneOf" else key
            made[name] = [for_google(inner, depth + 1) for inner in value]
        elif key == "items":
            made[key] = for_google(value, depth + 1)
        elif key == "const":
            made["enum"] = [value]
        elif key not in _UNKNOWN_TO_GOOGLE:
            made[key] = value
    return made


def is_strict(schema: Any, depth: int = 0) -> bool:
    """Whether OpenAI would take the schema as strict: all objects closed, all of their properties required."""
    if type(schema) is not dict:
        return True
    if depth > MAX_DEPTH:
        return False
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        if schema.get("additionalProperties") is not False:
            return False
        if set(properties or ()) != set(schema.get("required") or ()):
            return False
    inner = [value for key in _MAPS for value in (schema.get(key) or {}).values()]
    inner += [value for key in _LISTS for value in schema.get(key) or ()]
    inner.append(schema.get("items"))
    return all(is_strict(value, depth + 1) for value in inner)
