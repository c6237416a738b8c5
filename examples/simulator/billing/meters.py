"""How the two clouds write what a charge is about: Azure's meters and Google's SKUs, made from models' names."""

import hashlib
import re
from decimal import Decimal

from examples.simulator.billing.world import Charge

MILLION = Decimal(1_000_000)
_AZURE_SCOPES = {"": "Gl", "global": "Gl", "data_zone": "DZ", "regional": "regnl"}
_AZURE_TIERS = {"batch": "Batch ", "priority": "pp "}
_AZURE_CLASSES = {
    "input": "Inp", "output": "Opt", "cache_read": "cd Inp", "cache_write": "cd Wr", "input_audio": "aud Inp",
    "output_audio": "aud Opt", "input_image": "img Inp", "output_image": "img Opt",
}  # fmt: skip
_CONTEXTS = {"long": "LongCo ", "short": "ShortCo "}


def meter_name(charge: Charge) -> str:
    """`5.6 luna ShortCo cd Inp Gl 1M Tokens`; a charge with a description is its own meter."""
    if charge.description:
        return charge.description
    if charge.tier == "provisioned":
        words = {"data_zone": "Data Zone", "regional": "Regional"}.get(charge.region, "Global")
        return f"Provisioned Managed {words} Unit"
    model = re.sub(r"-\d{4}-(\d\d)-(\d\d)$", r"-\1\2", charge.model).replace("-", " ")
    return (
        f"{model} {_CONTEXTS.get(charge.context_window, '')}{_AZURE_TIERS.get(charge.tier, '')}"
        f"{_AZURE_CLASSES.get(charge.token_class, charge.token_class)} {_AZURE_SCOPES.get(charge.region, 'Gl')}"
        " 1M Tokens"
    )


def meter_quantity(charge: Charge) -> Decimal:
    """The quantity in the meter's unit."""
    return charge.quantity / MILLION if "1M" in meter_name(charge) else charge.quantity


_GOOGLE_CLASSES = {
    "input": "input token count {}text", "output": "output token count {}text",
    "cache_read": "cached input token count {}text", "input_audio": "input token count {}audio",
    "input_image": "input token count {}image", "output_audio": "output token count {}audio",
    "output_image": "output token count {}image",
}  # fmt: skip


def sku_name(charge: Charge) -> str:
    """`Generate content input token count gemini 3.5 flash short input text flex`, or the charge's description."""
    if charge.description:
        return charge.description
    if charge.token_class == "web_search":
        return "Grounding with Google Search"
    if charge.model.startswith("gemini-embedding"):
        return f"EmbedContent input token count for {charge.model}"
    size = f"{charge.context_window} input " if charge.context_window in ("short", "long") else ""
    tier = f" {charge.tier}" if charge.tier in ("batch", "flex", "priority") else ""
    what = _GOOGLE_CLASSES.get(charge.token_class, "{}" + charge.token_class)
    model = f"{charge.model.replace('-', ' ')} {size}"
    return f"Generate content {what.format(model)}{tier}"


def sku_id(name: str) -> str:
    """Stable for a name, in Google's form: `A1B2-C3D4-E5F6`."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:12].upper()
    return "-".join((digits[:4], digits[4:8], digits[8:]))
