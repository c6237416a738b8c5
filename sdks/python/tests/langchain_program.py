"""What a program does with LangChain and LangGraph; prints the steps of each scenario as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from kept import recording

llm, kept = recording()  # before the libraries are imported: they are patched when they are

from langchain_anthropic import ChatAnthropic  # noqa: E402
from langchain_core.documents import Document  # noqa: E402
from langchain_core.language_models import GenericFakeChatModel  # noqa: E402
from langchain_core.messages import AIMessage, HumanMessage  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_core.retrievers import BaseRetriever  # noqa: E402
from langchain_core.runnables import RunnableLambda, RunnableParallel  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAIEmbeddings  # noqa: E402
from langgraph.graph import END, START, MessagesState, StateGraph  # noqa: E402
from langgraph.prebuilt import ToolNode, tools_condition  # noqa: E402

BASE = sys.argv[1]
CHAT: Any = ChatOpenAI(model="gpt-4o-mini", api_key="x", base_url=f"{BASE}/v1", max_retries=0)
CLAUDE: Any = ChatAnthropic(model="claude-opus-5-5", api_key="x", base_url=BASE, max_tokens=60)
PROMPT = ChatPromptTemplate.from_messages([("user", "Tell me about {topic}.")])


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(page_content=f"about {query}", metadata={"page": 3})]


def chain() -> Any:
    return (PROMPT | CHAT).invoke({"topic": "cats"}).content


def claude() -> Any:
    return CLAUDE.invoke("Hi").content


def stream() -> Any:
    return "".join(chunk.content for chunk in CHAT.stream("Hi"))


async def async_chain() -> Any:
    return (await (PROMPT | CHAT).ainvoke({"topic": "cats"})).content


async def async_stream() -> Any:
    return "".join([chunk.content async for chunk in CHAT.astream("Hi")])


def parallel() -> Any:
    both = RunnableParallel(one=PROMPT | CHAT, two=PROMPT | CLAUDE)
    return sorted(both.invoke({"topic": "cats"}))


def retriever() -> Any:
    return Shelf().invoke("cats")[0].page_content


def embeddings() -> Any:
    make: Any = (
        OpenAIEmbeddings  # without counting first, which would load a vocabulary from the web
    )
    model = make(
        model="text-embedding-3-small",
        api_key="x",
        base_url=f"{BASE}/v1",
        check_embedding_ctx_length=False,
    )
    return len(model.embed_query("a"))


def own_model() -> Any:
    usage: Any = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    usage["input_token_details"] = {"cache_read": 4}
    answer = AIMessage(
        "Hello",
        usage_metadata=usage,
        response_metadata={"model_name": "m-1", "finish_reason": "stop"},
    )
    return GenericFakeChatModel(messages=iter([answer])).invoke("Hi").content


def failing() -> Any:
    def fail(_: Any) -> Any:
        raise ValueError("no such city")

    try:
        RunnableLambda(fail).invoke("x")
    except ValueError as error:
        return str(error)


def failing_model() -> Any:
    bad: Any = ChatOpenAI(model="gpt-4o-mini+error", api_key="x", base_url=f"{BASE}/v1", max_retries=0)  # fmt: skip
    try:
        bad.invoke("Hi")
    except Exception as error:
        return type(error).__name__


def graph() -> Any:
    tools = [weather]
    model = CHAT.bind_tools(tools)
    builder: Any = StateGraph(MessagesState)
    builder.add_node("agent", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode(tools))
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", tools_condition, {"tools": "tools", END: END})
    builder.add_edge("tools", "agent")
    state = builder.compile().invoke({"messages": [HumanMessage("Weather in Oslo?")]})
    return state["messages"][-1].content


def after() -> Any:
    llm.uninstrument()
    return (PROMPT | CHAT).invoke({"topic": "cats"}).content


def main() -> None:
    told = {}
    loop = asyncio.new_event_loop()  # one for all: LangChain keeps its async client over runs
    for name, play in list(globals().items()):
        if name in SCENARIOS:
            is_async = asyncio.iscoroutinefunction(play)
            result = loop.run_until_complete(play()) if is_async else play()
            told[name] = {"told": result, "steps": kept.taken(0 if name == "after" else 1)}
    print(json.dumps(told, default=str))


SCENARIOS = (
    "chain", "claude", "stream", "async_chain", "async_stream", "parallel", "retriever", "embeddings", "own_model",
    "failing", "failing_model", "graph", "after",
)  # fmt: skip

if __name__ == "__main__":
    main()
