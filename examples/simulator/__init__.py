"""A stand-in for LLM providers: the wire formats of OpenAI and Anthropic, with made-up answers.

Run it with `python -m examples.simulator --port 8900`, or serve `examples.simulator.app:app` with
any ASGI server. Nothing is random: the same request always gets the same answer and the same token
counts.

Misbehaviour is asked for per request, by the header `x-simulate`, by `metadata.simulate` in the
body, or by a suffix of the model name (`gpt-5-mini+rate_limit`). The words are in `faults.py`.
"""
