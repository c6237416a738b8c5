"""What the simulator says it would bill is what its answers said."""

import json
import urllib.request

from anthropic import Anthropic
from openai import OpenAI


def _billed(url: str) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(f"{url}/simulator/usage", timeout=10) as answer:
        return json.load(answer)["models"]


def test_the_bill_is_the_sum_of_the_answers(simulator_url: str) -> None:
    before = _billed(simulator_url)
    client = OpenAI(base_url=f"{simulator_url}/v1", api_key="sk-test", max_retries=0)
    chat = client.chat.completions.create(
        model="gpt-6-luna", messages=[{"role": "user", "content": "Where is it?"}]
    )
    list(
        client.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "Where is it?"}], stream=True
        )
    )
    message = Anthropic(base_url=simulator_url, api_key="sk-test").messages.create(
        model="claude-opus-4-5", max_tokens=50, messages=[{"role": "user", "content": "Why?"}]
    )
    after = _billed(simulator_url)
    assert after["gpt-6-luna"]["calls"] - before.get("gpt-6-luna", {}).get("calls", 0) == 2
    for name in ("prompt_tokens", "completion_tokens"):
        grown = after["gpt-6-luna"][name] - before.get("gpt-6-luna", {}).get(name, 0)
        assert grown == 2 * getattr(chat.usage, name)
    grown = after["claude-opus-4-5"]["output_tokens"] - before.get("claude-opus-4-5", {}).get(
        "output_tokens", 0
    )
    assert grown == message.usage.output_tokens
