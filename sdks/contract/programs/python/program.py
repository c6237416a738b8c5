"""The contract's program in Python; what it does is said in ../README.md."""

import contextlib
import json
import os
import statistics
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "python" / "src"))

import anthropic
import llmlab
import openai
from llmlab import LLMLab

PROVIDER = os.environ["PROVIDER_URL"]
BLOCK = 50


class PaymentError(Exception):
    """The story's failure."""


def chat_client() -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{PROVIDER}/v1", api_key="sk-simulated", max_retries=0)


def ask(client: openai.OpenAI, text: str, model: str = "gpt-5-mini") -> None:
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])


def story(llm: LLMLab) -> dict[str, object]:
    chat = chat_client()
    claude = anthropic.Anthropic(base_url=PROVIDER, api_key="sk-ant-simulated", max_retries=0)
    facts = {"tags": ["contract", "story"], "metadata": {"plan": "pro", "attempt": 2}}
    with llmlab.trace("refund", user="u-42", session="s-7", **facts) as refund:
        with llmlab.span(
            "lookup", type="retrieval", input={"query": "Where is my refund?"}
        ) as step:
            step.update(output=[{"id": "d1", "score": 0.75}])
        chat.chat.completions.create(
            model="gpt-5-mini",
            temperature=0.2,
            messages=[
                {"role": "system", "content": "You answer for a shop."},
                {"role": "user", "content": "Where is my refund?"},
            ],
        )
        short = [{"role": "user", "content": "Write a short answer."}]
        for _ in chat.chat.completions.create(model="gpt-4o-mini", messages=short, stream=True):
            pass
        case = [{"role": "user", "content": "Summarise the case."}]
        for _ in claude.messages.create(
            model="claude-sonnet-4-5", max_tokens=200, messages=case, stream=True
        ):
            pass
        chat.responses.create(model="gpt-5-mini", input="Name the next step.")
        chat.embeddings.create(
            model="text-embedding-3-small", input="refund policy", encoding_format="float"
        )
        with (
            contextlib.suppress(PaymentError),
            llmlab.span("charge", type="tool", input={"amount": "12.50"}),
        ):
            raise PaymentError("card declined")
        with contextlib.suppress(openai.BadRequestError):
            ask(chat, "Too long.", "gpt-5-mini+too_long")
        llmlab.score("helpful", 1, comment="by hand")
        refund.update(output="done")
    return {"trace_id": refund.trace_id, "flushed": llm.flush(30)}


def calls(llm: LLMLab, number: int) -> dict[str, object]:
    client, name = chat_client(), os.environ.get("CALLER", "python")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ask(client, f"Case {n} of {name}"), range(number)))
    return {"calls": number, "flushed": llm.shutdown(60)}


def overhead(llm: LLMLab, number: int) -> dict[str, object]:
    client = chat_client()
    times: dict[bool, list[float]] = {False: [], True: []}
    for block in range(-2, 2 * number // BLOCK):  # the first two warm up
        is_watched = block % 2 == 0
        if is_watched:
            llm.instrument()
        else:
            llm.uninstrument()
        for _ in range(BLOCK):
            started = time.perf_counter()
            ask(client, "Where is my refund?")
            if block >= 0:
                times[is_watched].append((time.perf_counter() - started) * 1e6)
    bare, watched = statistics.median(times[False]), statistics.median(times[True])
    return {"bare_us": bare, "instrumented_us": watched, "overhead_us": watched - bare}


def memory(llm: LLMLab, number: int) -> dict[str, object]:
    client, before, peak = chat_client(), 0.0, 0.0
    for n in range(number):
        ask(client, f"Case {n}")
        if n == 1000:
            before = resident_mib()
        if n > 1000 and n % 500 == 0:
            peak = max(peak, resident_mib())
    dropped = llm.stats()["dropped"]
    llm.shutdown(1)
    return {"before_mib": before, "peak_mib": peak, "dropped": dropped}


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def serve(llm: LLMLab, port: int) -> dict[str, object]:
    client = chat_client()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with llmlab.extract(self.headers), llmlab.span("answer"):
                ask(client, "Asked by another service.")
            llm.flush(10)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", port), Answer)
    print("ready", flush=True)
    server.serve_forever()
    return {}


def ask_service(llm: LLMLab, url: str) -> dict[str, object]:
    with llmlab.trace("ask") as step:
        request = urllib.request.Request(url)  # noqa: S310
        headers: dict[str, str] = {}
        llmlab.inject(headers)
        request.headers.update(headers)
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass
    llm.flush(10)
    return {"trace_id": step.trace_id}


def main(command: str, *arguments: str) -> None:
    llm = LLMLab()
    llm.instrument()
    if command == "story":
        told = story(llm)
    elif command == "serve":
        told = serve(llm, int(arguments[0]))
    elif command == "ask":
        told = ask_service(llm, arguments[0])
    else:
        told = {"calls": calls, "overhead": overhead, "memory": memory}[command](
            llm, int(arguments[0])
        )
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
