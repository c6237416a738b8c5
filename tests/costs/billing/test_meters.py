"""What Azure's meters and Google's SKUs stand for; names as price lists and invoices write them."""

from decimal import Decimal

import pytest

from costs.providers.azure_meters import UNMAPPED, read_meter
from costs.providers.google_skus import UNMAPPED as NO_SKU
from costs.providers.google_skus import read_sku

METERS = {
    "gpt 4.1 Inp glbl Tokens": "gpt-4.1 input standard global",
    "gpt 4.1 Outp Data Zone Tokens": "gpt-4.1 output standard data_zone",
    "gpt 4.1 nano cached Inp glbl Tokens": "gpt-4.1-nano cache_read standard global",
    "GPT 5 Mini cchd Inpt Glbl 1M Tokens": "gpt-5-mini cache_read standard global",
    "5.4 inp Gl 1M Tokens": "gpt-5.4 input standard global",
    "5.4 inp Dz 1M Tokens": "gpt-5.4 input standard data_zone",
    "5.6 luna ShortCo Cd Wr Std DZ 1M Tokens": "gpt-5.6-luna cache_write standard data_zone short",
    "5.5 LongCo Batch inp Gl 1M Tokens": "gpt-5.5 input batch global long",
    "5.6 sol ShortCo Cd Inp PP DZ 1M Tokens": "gpt-5.6-sol cache_read priority data_zone short",
    "5.1 codex mini cd inp Dz 1M Tokens": "gpt-5.1-codex-mini cache_read standard data_zone",
    "gpt-5-codex-ccchd-inp-glbl Tokens": "gpt-5-codex cache_read standard global",
    "gpt 4o 0806 Batch Outp Data Zone Tokens": "gpt-4o-2024-08-06 output batch data_zone",
    "gpt4omini-aud1217-txt Inp glbl Tokens": "gpt-4o-mini-audio-preview input standard global",
    "gpt4o realtimePrvwAudInp DataZone Tokens": "gpt-4o-realtime-preview input_audio standard data_zone",
    "gpt rt aud mn cd in gl 1215 1M Tokens": "gpt-realtime-mini cache_read standard global",
    "gpt rt aud 0828 Outp regnl Tokens": "gpt-realtime output_audio standard regional",
    "gpt img 1.5 out img DZ 1M Tokens": "gpt-image-1.5 output_image standard data_zone",
    "o3-deep research 0626-inp-cchd-glbl 1M Tokens": "o3-deep-research-2025-06-26 cache_read standard global",
    "o1-pro Inp regnl Tokens": "o1-pro input standard regional",
    "gpt-35-turbo-4k-Input-regional Tokens": "gpt-3.5-turbo input standard regional",
    "text embedding 3 large DZ Tokens": "text-embedding-3-large input standard data_zone",
    "4.1 mini ft cd inp Dz Tokens": "ft:gpt-4.1-mini cache_read standard data_zone",
    "gpt-oss-120B Inp DZone Tokens": "gpt-oss-120b input standard data_zone",
    "4.3 Cached Inp DZ L Tokens": "grok-4.3 cache_read standard data_zone long",
    "Grok4 Fast Outp DZone Tokens": "grok-4-fast output standard data_zone",
    "FW DeepSeek-V4-Pro Outp DZ Tokens": "deepseek-v4-pro output standard data_zone",
    "V3-0324 Inp DZone Tokens": "deepseek-v3 input standard data_zone",
    "K2.6 Thinking Outp glbl Tokens": "kimi-k2.6-thinking output standard global",
    "Llama 4 Maverick 17B Inp glbl Tokens": "llama-4-maverick-17b input standard global",
    "MM3.5 Inp DZ Tokens": "mistral-medium-3.5 input standard data_zone",
}


@pytest.mark.parametrize(("name", "meaning"), METERS.items())
def test_meters_of_the_price_list(name: str, meaning: str) -> None:
    found = read_meter(name)
    parts = (found.model, found.token_class, found.tier, found.scope, found.context)
    assert " ".join(filter(None, parts)) == meaning
    assert (found.unit, found.scale) == ("tokens", 1_000_000 if "1M" in name else 1_000)


@pytest.mark.parametrize(
    ("name", "model", "unit", "scale"),
    [
        ("Provisioned Managed Global Unit", "azure:provisioned", "hours", 1),
        ("Az-Provisioned Throughput Unit", "azure:provisioned", "hours", 1),
        ("gpt-4.1-ft hosting global Unit", "ft:gpt-4.1", "hours", 1),
        ("4.1 ft training Dz Tokens", "ft:gpt-4.1", "tokens", 1_000),
        ("Code-Interpreter-regnl EP Session", "", "sessions", 1),
        ("Sora 720p 11-15s regnl Video", "sora", "seconds", 1),
    ],
)
def test_what_is_not_tokens_of_a_call(name: str, model: str, unit: str, scale: int) -> None:
    found = read_meter(name)
    assert (found.model, found.token_class, found.unit) == (model, "other", unit)
    assert found.scale == Decimal(scale)


@pytest.mark.parametrize(
    "name",
    ["", "6.2 vega ShortCo Inp Std Gl 1M Tokens", "D4s v5", "Standard Unit", "gpt 5.4 inp Gl",
     "S1 Text Records", "gpt zero Inp glbl Tokens", "\x00(*[" * 400],
)  # fmt: skip
def test_an_unknown_meter_is_not_guessed(name: str) -> None:
    found = read_meter(name)
    assert (found.model, found.token_class, found.scale) == (UNMAPPED, "other", 1)


SKUS = {
    "Generate content input token count gemini 3.5 flash text": "gemini-3.5-flash input standard",
    "Generate content output token count gemini 3.5 flash text": "gemini-3.5-flash output standard",
    "Generate content input token count gemini 3.7 flash image flex caching": "gemini-3.7-flash cache_read flex",
    "Generate content input token count gemini 3.1 flash lite preview text": (
        "gemini-3.1-flash-lite-preview input standard"
    ),
    "Generate content input token count Gemini 2.5 Pro short input text": "gemini-2.5-pro input standard short",
    "Generate content input token count Gemini 2.5 Pro long input text": "gemini-2.5-pro input standard long",
    "Generate content output token count gemini 2.5 flash short output text non-thinking": (
        "gemini-2.5-flash output standard short"
    ),
    # "input" is the prompt's size here.
    "Generate content output token count gemini 2.5 flash short input text": "gemini-2.5-flash output standard short",
    "Generate content cached input token count gemini 2.5 flash input short text": (
        "gemini-2.5-flash cache_read standard short"
    ),
    "Generate_content text cached input token count for gemini 3 pro short": "gemini-3-pro cache_read standard short",
    "GenerateContent image input token count for Gemini 2.0 Flash": "gemini-2.0-flash input_image standard",
    "EmbedContent input token count for gemini-embedding-001": "gemini-embedding-001 input standard",
    "Gemini 2.5 Pro Thinking Text Output - Predictions": "gemini-2.5-pro output standard",
    "Cached content storage token hours": "other standard",
    "Grounding with Google Search": "web_search standard",
    "Generate content output token count gemini 3.5 flash audio batch": "gemini-3.5-flash output_audio batch",
}


@pytest.mark.parametrize(("name", "meaning"), SKUS.items())
def test_skus_of_real_invoices(name: str, meaning: str) -> None:
    found = read_sku(name, unit="count")
    parts = (found.model, found.token_class, found.tier, found.context)
    assert " ".join(filter(None, parts)) == meaning


def test_a_sku_of_an_unknown_model_is_not_guessed() -> None:
    assert read_sku("Generate content input token count gemini 9 omni text").model == NO_SKU
    assert read_sku("Online Prediction N1 core").model == ""


def test_the_model_label_helps_where_the_words_do_not() -> None:
    words = "Generate content input token count text"
    assert read_sku(words, label="gemini35flash").model == "gemini-3.5-flash"
    assert (
        read_sku(words, label="gemini31flashlitepreview").model == "gemini-3.1-flash-lite-preview"
    )
    assert read_sku(words, label="something new").model == NO_SKU
