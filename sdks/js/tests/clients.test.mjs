// Real clients against the simulator: what they send and get is theirs, what is recorded is right.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { AzureOpenAI } from "openai";
import OpenAI4 from "openai4";
import { LLMLab, TestExporter } from "llmlab";
import { startSimulator } from "./support/simulator.mjs";

const require = createRequire(import.meta.url);
const exporter = new TestExporter();
const messages = [{ role: "user", content: "Where is my refund?" }];
let simulator, llm, openai, anthropic;

before(async () => {
  simulator = await startSimulator();
  llm = new LLMLab({ exporter, drainSeconds: 2 });
  assert.deepEqual(await llm.instrument(), ["openai", "@anthropic-ai/sdk"]);
  openai = new OpenAI({ apiKey: "sk-test", baseURL: `${simulator.url}/v1` });
  anthropic = new Anthropic({ apiKey: "sk-test", baseURL: simulator.url });
});
after(async () => {
  await llm.shutdown();
  await simulator.stop();
});

/** The steps of what `work` does; with `count`, waits for those that end in the background. */
async function recorded(work, count = 0) {
  await llm.flush();
  exporter.clear();
  await work();
  for (let n = 0; n < 500; n++) {
    await llm.flush();
    if (exporter.steps.filter((step) => step.ended_at).length >= count) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return exporter.steps;
}

const lastSent = async () => (await simulator.received()).at(-1).body;

test("a chat completion", async () => {
  let answer;
  const [step, ...more] = await recorded(async () => {
    answer = await openai.chat.completions.create({ model: "gpt-4o-mini", messages, temperature: 0.2, user: "u-1", metadata: { a: "b" } });
  });
  assert.equal(more.length, 0);
  assert.equal(step.type, "llm");
  assert.equal(step.status, "ok");
  assert.equal(step.provider, "openai");
  assert.equal(step.request_model, "gpt-4o-mini");
  assert.equal(step.model, answer.model);
  assert.equal(step.response_id, answer.id);
  assert.deepEqual(step.input, messages);
  assert.deepEqual(step.output, answer.choices[0].message);
  assert.deepEqual(step.usage, answer.usage);
  assert.deepEqual(step.parameters, { temperature: 0.2, user: "u-1", metadata: { a: "b" } });
  assert.deepEqual(step.attributes, { "server.address": "127.0.0.1" });
  assert.equal(step.parent_id, undefined);
  assert.ok(step.ended_at > step.started_at);
});

test("the copy that require gives is recorded too", async () => {
  const { OpenAI: Required } = require("openai");
  assert.notEqual(Required, OpenAI);
  const client = new Required({ apiKey: "sk-test", baseURL: `${simulator.url}/v1` });
  const steps = await recorded(() => client.chat.completions.create({ model: "gpt-4o-mini", messages }));
  assert.equal(steps.length, 1);
});

test("a stream tells its usage, and the caller sees no extra chunk", async () => {
  let said = "";
  const [step] = await recorded(async () => {
    for await (const chunk of await openai.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true })) {
      assert.equal(chunk.choices.length, 1);
      said += chunk.choices[0].delta.content ?? "";
    }
  });
  assert.deepEqual((await lastSent()).stream_options, { include_usage: true });
  assert.deepEqual(step.output, { role: "assistant", content: said });
  assert.ok(step.usage.completion_tokens > 0);
  assert.equal(step.attributes.stream, true);
  assert.equal(step.attributes.stopped_reading, undefined);
  assert.ok(step.time_to_first_token_ms > 0);
  assert.equal(step.parameters, undefined);
});

test("who asks for usage gets it", async () => {
  const chunks = [];
  const [step] = await recorded(async () => {
    const stream = await openai.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) chunks.push(chunk);
  });
  assert.deepEqual(chunks.at(-1).usage, step.usage);
});

test("a reader that stops early does not lose the usage", async () => {
  const [step] = await recorded(async () => {
    for await (const _ of await openai.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true })) break;
  }, 1);
  assert.ok(step.usage.completion_tokens > 0);
  assert.equal(step.finish_reason, "stop");
  assert.equal(step.attributes.stopped_reading, undefined);
});

test("an abort is an abort: nothing is read on", async () => {
  const slow = await startSimulator("1");
  try {
    const client = new OpenAI({ apiKey: "sk-test", baseURL: `${slow.url}/v1` });
    const abort = new AbortController();
    const [step] = await recorded(async () => {
      const stream = await client.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true }, { signal: abort.signal });
      for await (const _ of stream) abort.abort();
    }, 1);
    assert.equal(step.attributes.stopped_reading, true);
    assert.equal(step.usage, undefined);
    assert.equal(step.status, "ok");
  } finally {
    await slow.stop();
  }
});

test("a stream that breaks off is recorded as far as it came", async () => {
  const [step] = await recorded(async () => {
    await assert.rejects(async () => {
      for await (const _ of await openai.chat.completions.create({ model: "gpt-4o-mini+cut", messages, stream: true }));
    });
  });
  assert.equal(step.status, "error");
  assert.ok(step.output.content.length > 0);
  assert.equal(step.usage, undefined);
});

test("tools, parse, the stream helper", async () => {
  const tools = [{ type: "function", function: { name: "find_order", parameters: { type: "object", properties: { id: { type: "string" } } } } }];
  let final;
  const steps = await recorded(async () => {
    await openai.chat.completions.create({ model: "gpt-4o-mini", messages, tools });
    const format = { type: "json_schema", json_schema: { name: "a", schema: { type: "object", properties: { answer: { type: "string" } } } } };
    await openai.chat.completions.parse({ model: "gpt-4o-mini", messages, response_format: format });
    const helper = openai.chat.completions.stream({ model: "gpt-4o-mini", messages });
    final = await helper.finalChatCompletion();
  });
  assert.equal(steps.length, 3);
  assert.equal(steps[0].finish_reason, "tool_calls");
  assert.equal(steps[0].output.tool_calls[0].function.name, "find_order");
  assert.deepEqual(steps[0].tools, tools);
  assert.equal(typeof steps[1].output.content, "string");
  assert.equal(steps[2].output.content, final.choices[0].message.content);
  assert.ok(steps[2].usage.prompt_tokens > 0);
});

test("responses, whole and streamed", async () => {
  let answer, last;
  const steps = await recorded(async () => {
    answer = await openai.responses.create({ model: "gpt-5-mini", instructions: "Be short.", input: "Hello" });
    for await (const event of await openai.responses.create({ model: "gpt-5-mini", input: "Hello", stream: true })) last = event;
  });
  assert.deepEqual(steps[0].input, [{ role: "system", content: "Be short." }, { role: "user", content: "Hello" }]);
  assert.deepEqual(steps[0].output, answer.output);
  assert.deepEqual(steps[0].usage, answer.usage);
  assert.equal(last.type, "response.completed");
  assert.deepEqual(steps[1].output, last.response.output);
  assert.deepEqual(steps[1].usage, last.response.usage);
  assert.ok(steps[1].time_to_first_token_ms > 0);
});

test("embeddings keep the number of vectors, not the vectors", async () => {
  const [step] = await recorded(() => openai.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] }));
  assert.equal(step.type, "embedding");
  assert.equal(step.attributes.vectors, 2);
  assert.equal(step.output, undefined);
  assert.ok(step.usage.prompt_tokens > 0);
});

test("withResponse and asResponse", async () => {
  const steps = await recorded(async () => {
    const { data, response } = await openai.chat.completions.create({ model: "gpt-4o-mini", messages }).withResponse();
    assert.equal(response.status, 200);
    assert.ok(data.choices.length);
    const raw = await openai.chat.completions.create({ model: "gpt-4o-mini", messages }).asResponse();
    assert.ok((await raw.json()).choices.length);
  });
  assert.equal(steps.length, 2);
  assert.ok(steps.every((step) => step.usage.total_tokens > 0));
});

test("retries are one step", async () => {
  const [step, ...more] = await recorded(async () => {
    await assert.rejects(openai.chat.completions.create({ model: "gpt-4o-mini+error", messages }, { maxRetries: 1 }), OpenAI.InternalServerError);
  });
  assert.equal(more.length, 0);
  assert.equal(step.attributes.retries, 1);
  assert.equal(step.attributes["http.status"], 500);
  assert.equal(step.status, "error");
  assert.match(step.error.message, /server had an error/);
});

test("a retry that succeeds is a success", async () => {
  let calls = 0;
  const flaky = createServer((_, response) => {
    if (++calls === 1) return response.writeHead(500, { "retry-after-ms": "1" }).end("{}");
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: "c", model: "m", choices: [{ message: { role: "assistant", content: "yes" }, finish_reason: "stop" }], usage: { total_tokens: 3 } }));
  });
  await new Promise((resolve) => flaky.listen(0, "127.0.0.1", resolve));
  const client = new OpenAI({ apiKey: "k", baseURL: `http://127.0.0.1:${flaky.address().port}/v1` });
  const [step] = await recorded(() => client.chat.completions.create({ model: "m", messages }));
  flaky.close();
  assert.equal(step.status, "ok");
  assert.equal(step.attributes.retries, 1);
  assert.deepEqual(step.usage, { total_tokens: 3 });
});

test("errors are thrown and recorded as they are", async () => {
  const steps = await recorded(async () => {
    await assert.rejects(openai.chat.completions.create({ model: "nothing+not_found", messages }), OpenAI.NotFoundError);
    const dead = new OpenAI({ apiKey: "k", baseURL: "http://127.0.0.1:9/v1", maxRetries: 0 });
    await assert.rejects(dead.chat.completions.create({ model: "gpt-4o-mini", messages }), OpenAI.APIConnectionError);
  });
  assert.equal(steps[0].attributes["http.status"], 404);
  assert.equal(steps[1].error.type, "APIConnectionError");
  assert.equal(steps[1].status, "error");
});

test("a server that cannot take stream_options is asked without, and remembered", async () => {
  const bodies = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    bodies.push(JSON.parse(text));
    if (bodies.at(-1).stream_options) return response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"unknown field stream_options"}}');
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end('data: {"id":"c","choices":[{"index":0,"delta":{"content":"yes"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  for (const Client of [OpenAI, OpenAI4]) {
    bodies.length = 0;
    if (Client === OpenAI4) await llm.instrument({ clients: [OpenAI4] });
    const client = new Client({ apiKey: "k", baseURL: `http://127.0.0.1:${server.address().port}/${Client === OpenAI4 ? "old" : "v1"}` });
    const steps = await recorded(async () => {
      for (let n = 0; n < 2; n++) for await (const _ of await client.chat.completions.create({ model: "m", messages, stream: true }));
    });
    assert.deepEqual(bodies.map((body) => Boolean(body.stream_options)), [true, false, false]);
    assert.deepEqual(steps.map((step) => [step.status, step.output.content, step.attributes.retries]), [["ok", "yes", undefined], ["ok", "yes", undefined]]);
  }
  server.close();
});

test("Azure's client by its deployment", async () => {
  const paths = [];
  const server = createServer((request, response) => {
    paths.push(request.url);
    request.resume();
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: "c", model: "gpt-4o-2024", choices: [{ message: { role: "assistant", content: "yes" } }] }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new AzureOpenAI({ apiKey: "k", apiVersion: "2024-06-01", endpoint: `http://127.0.0.1:${server.address().port}`, deployment: "our-gpt" });
  const [step] = await recorded(() => client.chat.completions.create({ model: "", messages }));
  server.close();
  assert.match(paths[0], /deployments\/our-gpt\/chat\/completions/);
  assert.equal(step.provider, "azure");
  assert.equal(step.request_model, "our-gpt");
});

test("Anthropic: whole, streamed, the stream helper, tools and thinking", async () => {
  let answer, final;
  const asked = { model: "claude-sonnet-5", max_tokens: 500, system: "Be kind.", messages };
  const steps = await recorded(async () => {
    answer = await anthropic.messages.create(asked);
    for await (const _ of await anthropic.messages.create({ ...asked, stream: true }));
    final = await anthropic.messages.stream({ ...asked, thinking: { type: "enabled", budget_tokens: 1024 } }).finalMessage();
  });
  assert.equal(steps.length, 3);
  assert.equal(steps[0].provider, "anthropic");
  assert.deepEqual(steps[0].input, [{ role: "system", content: "Be kind." }, ...messages]);
  assert.deepEqual(steps[0].output, { role: "assistant", content: answer.content });
  assert.deepEqual(steps[0].usage, answer.usage);
  assert.equal(steps[1].usage.output_tokens, answer.usage.output_tokens);
  assert.ok(steps[1].time_to_first_token_ms > 0);
  assert.equal(steps[2].output.content[0].type, "thinking");
  assert.equal(steps[2].finish_reason, final.stop_reason);
});

test("Anthropic: an error in the middle of a stream", async () => {
  const [step] = await recorded(async () => {
    await assert.rejects(async () => {
      for await (const _ of await anthropic.messages.create({ model: "claude-sonnet-5+stream_error", max_tokens: 500, messages, stream: true }));
    });
  }, 1);
  assert.equal(step.status, "error");
  assert.equal(step.error.type, "overloaded_error");
});

test("a call that is no model's is left alone", async () => {
  const steps = await recorded(async () => {
    for await (const _ of await openai.models.list());
    await anthropic.messages.countTokens({ model: "claude-sonnet-5", messages });
  });
  assert.deepEqual(steps, []);
});

for (const [version, name] of [["4, on node-fetch", "openai4"], ["7", "openai7"]]) {
  test(`openai of version ${version}`, async (t) => {
    const module = await import(name).catch(() => undefined);
    if (!module) return t.skip("this Node is too old for it");
    await llm.instrument({ clients: [module.default] });
    const client = new module.default({ apiKey: "k", baseURL: `${simulator.url}/v1` });
    const asked = { model: "gpt-4o-mini", messages };
    let said = "";
    const steps = await recorded(async () => {
      await llm.trace("agent", async () => {
        await client.chat.completions.create(asked);
        for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
          assert.equal(chunk.choices.length, 1);
          said += chunk.choices[0].delta.content ?? "";
        }
        for await (const _ of await client.chat.completions.create({ ...asked, stream: true })) break;
        await assert.rejects(client.chat.completions.create({ ...asked, model: "gpt-4o-mini+error" }, { maxRetries: 1 }));
      });
    }, 5);
    assert.equal(steps.length, 5);
    const root = steps.find((step) => step.name === "agent");
    const calls = steps.filter((step) => step.name === "chat");
    assert.ok(calls.every((step) => step.parent_id === root.id));
    assert.deepEqual(calls[1].output.content, said);
    assert.ok(calls.slice(0, 3).every((step) => step.usage.total_tokens > 0));
    assert.equal(calls[3].attributes.retries, 1);
  });
}

test("wrap records one client, on any transport of its own", async () => {
  llm.uninstrument();
  let used = 0;
  const client = llm.wrap(new OpenAI({ apiKey: "k", baseURL: `${simulator.url}/v1`, fetch: (...given) => (used++, fetch(...given)) }));
  const other = new OpenAI({ apiKey: "k", baseURL: `${simulator.url}/v1` });
  const steps = await recorded(async () => {
    await client.chat.completions.create({ model: "gpt-4o-mini", messages });
    await client.withOptions({ maxRetries: 0 }).chat.completions.create({ model: "gpt-4o-mini", messages });
    await other.chat.completions.create({ model: "gpt-4o-mini", messages });
  });
  assert.equal(steps.length, 1, "withOptions makes another client");
  assert.equal(used, 2);
  assert.equal(llm.wrap(client), client);
  await llm.instrument();
  assert.equal((await recorded(() => client.chat.completions.create({ model: "gpt-4o-mini", messages }))).length, 1);
});

test("llm.fetch records whatever takes a fetch", async () => {
  const body = JSON.stringify({ model: "gpt-4o-mini", messages, stream: true });
  let text;
  const [step] = await recorded(async () => {
    const response = await llm.fetch(`${simulator.url}/v1/chat/completions`, { method: "POST", headers: { authorization: "Bearer k", "content-type": "application/json" }, body });
    text = await response.text();
  });
  assert.ok(!/"choices":\s*\[\]/.test(text));
  assert.ok(text.includes("[DONE]"));
  assert.ok(step.usage.total_tokens > 0);
});

test("paused code is not recorded, and content is left out where asked", async () => {
  const steps = await recorded(async () => {
    await llm.paused(() => openai.chat.completions.create({ model: "gpt-4o-mini", messages }));
    await llm.withoutContent(() => openai.chat.completions.create({ model: "gpt-4o-mini", messages, temperature: 0 }));
  });
  assert.equal(steps.length, 1);
  assert.equal(steps[0].input, undefined);
  assert.equal(steps[0].output, undefined);
  assert.deepEqual(steps[0].parameters, { temperature: 0 });
  assert.ok(steps[0].usage.total_tokens > 0);
});
