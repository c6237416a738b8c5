// The Vercel AI SDK through its telemetry, against the simulator.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { embed, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { BudgetExceededError, LLMLab, TestExporter } from "llmlab";
import { fieldsOf } from "../dist/esm/ai/attributes.js";
import { startSimulator } from "./support/simulator.mjs";

const exporter = new TestExporter();
let simulator, llm, provider;

before(async () => {
  simulator = await startSimulator();
  llm = new LLMLab({ exporter, liveInterval: 0 });
  provider = createOpenAI({ apiKey: "k", baseURL: `${simulator.url}/v1` });
});
after(async () => {
  await llm.shutdown();
  await simulator.stop();
});

async function recorded(work) {
  await llm.flush();
  exporter.clear();
  await work();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await llm.flush();
  return exporter.steps;
}
const tools = { find_order: tool({ description: "Finds it", inputSchema: jsonSchema({ type: "object", properties: { id: { type: "string" } } }), execute: async () => ({ found: true }) }) };

test("generateText with a tool: one trace, the calls charged once", async () => {
  let answer;
  const steps = await recorded(async () => {
    const experimental_telemetry = llm.aiTelemetry({ functionId: "support", metadata: { userId: "u-1", sessionId: "s-1", plan: "pro" } });
    answer = await generateText({ model: provider.chat("gpt-4o-mini"), prompt: "Where is order 7?", tools, stopWhen: stepCountIs(3), temperature: 0.3, experimental_telemetry });
  });
  const root = steps.find((step) => step.name === "ai.generateText");
  const calls = steps.filter((step) => step.type === "llm");
  const used = steps.find((step) => step.type === "tool");
  assert.deepEqual([root.type, root.parent_id, root.usage, root.feature], ["chain", undefined, undefined, "support"]);
  assert.equal(calls.length, 2);
  assert.ok(calls.every((step) => step.parent_id === root.id));
  assert.deepEqual([calls[0].provider, calls[0].request_model, calls[0].operation, calls[0].finish_reason], ["openai", "gpt-4o-mini", "chat", "tool-calls"]);
  assert.equal(calls[0].output.tool_calls[0].function.name, "find_order");
  assert.equal(calls[0].tools[0].name, "find_order");
  assert.equal(calls[1].output.content, answer.text);
  assert.deepEqual(calls.map((step) => step.usage.input_tokens), answer.steps.map((step) => step.usage.inputTokens));
  assert.deepEqual(calls.map((step) => step.usage.output_tokens), answer.steps.map((step) => step.usage.outputTokens));
  assert.equal(calls[0].usage_convention, "inclusive");
  assert.equal(calls[0].input[0].role, "user");
  assert.equal(calls[0].parameters.maxRetries, 2);
  assert.deepEqual([used.name, used.output], ["find_order", { found: true }]);
  const item = exporter.items.at(-1);
  assert.deepEqual([item.user, item.session, item.metadata.plan], ["u-1", "s-1", "pro"]);
});

test("streamText under a trace of the program", async () => {
  let text = "";
  const steps = await recorded(() =>
    llm.trace("agent", async () => {
      const result = streamText({ model: provider.chat("gpt-4o-mini"), prompt: "Hello", experimental_telemetry: llm.aiTelemetry() });
      for await (const part of result.textStream) text += part;
    }),
  );
  const named = Object.fromEntries(steps.map((step) => [step.name, step]));
  const call = named["ai.streamText.doStream"];
  assert.equal(named["ai.streamText"].parent_id, named.agent.id);
  assert.equal(call.parent_id, named["ai.streamText"].id);
  assert.equal(call.output.content, text);
  assert.ok(call.time_to_first_token_ms > 0);
  assert.ok(call.usage.output_tokens > 0);
});

test("embeddings", async () => {
  const steps = await recorded(() => embed({ model: provider.embedding("text-embedding-3-small"), value: "a b c", experimental_telemetry: llm.aiTelemetry() }));
  const call = steps.find((step) => step.type === "embedding");
  assert.ok(call.usage.input_tokens > 0);
  assert.equal(call.input[0], "a b c");
  assert.ok(!JSON.stringify(steps).includes("ai.embedding"), "vectors are readable by nobody");
});

test("an error", async () => {
  const steps = await recorded(async () => {
    await assert.rejects(generateText({ model: provider.chat("gpt-4o-mini+not_found"), prompt: "x", maxRetries: 0, experimental_telemetry: llm.aiTelemetry() }));
  });
  assert.ok(steps.length >= 2);
  assert.ok(steps.every((step) => step.status === "error"));
  assert.match(steps[0].error.message, /does not exist/);
});

test("content is left out where asked, a fetch inside is no second call", async () => {
  const quiet = createOpenAI({ apiKey: "k", baseURL: `${simulator.url}/v1`, fetch: llm.fetch });
  const steps = await recorded(() => llm.withoutContent(() => generateText({ model: quiet.chat("gpt-4o-mini"), prompt: "x", experimental_telemetry: llm.aiTelemetry() })));
  assert.equal(steps.filter((step) => step.type === "llm").length, 1);
  assert.ok(steps.every((step) => step.input === undefined && step.output === undefined));
});

test("without telemetry llm.fetch records the call", async () => {
  const plain = createOpenAI({ apiKey: "k", baseURL: `${simulator.url}/v1`, fetch: llm.fetch });
  const steps = await recorded(() => generateText({ model: plain.chat("gpt-4o-mini"), prompt: "x" }));
  assert.equal(steps.length, 1);
  assert.ok(steps[0].usage.total_tokens > 0);
});

test("a budget holds here too", async () => {
  const model = provider.chat("gpt-4o-mini");
  await assert.rejects(llm.budget({ usd: 0 }, () => generateText({ model, prompt: "x", maxRetries: 0, experimental_telemetry: llm.aiTelemetry() })), (error) => error instanceof BudgetExceededError);
});

test("attributes of older versions", () => {
  const call = (attributes) => fieldsOf("x", { "ai.operationId": "ai.generateText.doGenerate", ...attributes }).fields;
  const four = call({ "ai.model.provider": "anthropic.messages", "ai.model.id": "claude-3", "ai.usage.promptTokens": 10, "ai.usage.completionTokens": 5, "ai.response.providerMetadata": '{"anthropic":{"cacheReadInputTokens":90}}', "ai.response.text": "hi" });
  assert.deepEqual(four.usage, { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 90 });
  assert.deepEqual([four.usage_convention, four.provider, four.model, four.output], ["exclusive", "anthropic", "claude-3", { role: "assistant", content: "hi" }]);
  const google = call({ "ai.model.provider": "google.generative-ai", "ai.usage.inputTokens": 1 });
  assert.deepEqual([google.provider, google.usage_convention], ["google.generative-ai", undefined]);
  assert.equal(call({ "ai.model.provider": "gateway" }).provider, undefined);
  assert.equal(call({ "ai.model.provider": "amazon-bedrock" }).provider, "amazon-bedrock");
  assert.equal(call({}).usage, undefined);
});

test("version 7, which tells integrations", async (t) => {
  const ai = await import("ai7").catch(() => undefined);
  if (!ai) return t.skip("this Node is too old for it");
  const model = createOpenAI({ apiKey: "k", baseURL: `${simulator.url}/v1`, fetch: llm.fetch }).chat("gpt-4o-mini");
  let answer;
  const steps = await recorded(() =>
    llm.trace("agent", async () => {
      answer = await ai.generateText({ model, system: "Be kind.", prompt: "Where is order 7?", tools, stopWhen: ai.stepCountIs(3), telemetry: llm.aiTelemetry({ functionId: "support" }) });
      for await (const _ of ai.streamText({ model, prompt: "Hello", telemetry: llm.aiTelemetry() }).textStream);
    }),
  );
  const named = Object.fromEntries(steps.map((step) => [step.name, step]));
  const calls = steps.filter((step) => step.type === "llm");
  assert.equal(calls.length, 3, "the fetch inside is no second call");
  assert.equal(named["ai.generateText"].parent_id, named.agent.id);
  assert.ok(calls.slice(0, 2).every((step) => step.parent_id === named["ai.generateText"].id));
  assert.deepEqual(calls[0].input, [{ role: "system", content: "Be kind." }, { role: "user", content: "Where is order 7?" }]);
  assert.equal(calls[0].output.tool_calls[0].function.name, "find_order");
  assert.deepEqual(calls.slice(0, 2).map((step) => step.usage.output_tokens), answer.steps.map((step) => step.usage.outputTokens));
  assert.deepEqual([named.find_order.type, named.find_order.output], ["tool", { found: true }]);
  assert.deepEqual([calls[1].output.content, calls[1].feature, calls[1].usage_convention], [answer.text, "support", "inclusive"]);
  assert.ok(calls[2].time_to_first_token_ms > 0);
  const failed = await recorded(() => assert.rejects(llm.budget({ usd: 0 }, () => ai.generateText({ model, prompt: "x", maxRetries: 0, telemetry: llm.aiTelemetry() })), BudgetExceededError));
  assert.ok(failed.length === 2 && failed.every((step) => step.status === "error"));
});
