// The JavaScript clients of OpenAI and Anthropic, unmodified, against the gateway. Arguments as in
// tests/clients/telling.py, the gateway as the collector; the answer says of each scenario what went wrong, if anything.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import * as z from "zod";

const [, gateway, key, ...wanted] = process.argv.slice(2);
const options = { apiKey: key, maxRetries: 0 };
const gpt = new OpenAI({ ...options, baseURL: `${gateway}/v1` });
const claude = new Anthropic({ ...options, baseURL: gateway });
const GPT = "gpt-5.4-mini";
const CLAUDE = "claude-opus-4-6";
const messages = [{ role: "user", content: "Say hello to the world" }];
const weather = [{ role: "user", content: "What is the weather in Paris?" }];
const Forecast = z.object({ city: z.string(), degrees: z.number().int() });
const place = z.object({ city: z.string() });
const DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const gather = async (stream) => {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
};
const isForecast = (value) => Forecast.parse(value);

// What an OpenAI client usually does, with the model of either provider.
const ofOpenAI = (model) => ({
  whole: async () => {
    const { data, response, request_id } = await gpt.chat.completions.create({ model, messages }).withResponse();
    assert.ok(data.choices[0].message.content);
    assert.ok(data.usage.completion_tokens > 0);
    assert.equal(request_id, response.headers.get("x-llmlab-request-id"));
    assert.equal(response.headers.get("x-llmlab-model"), model);
    const raw = await gpt.chat.completions.create({ model, messages }).asResponse();
    assert.equal((await raw.json()).object, "chat.completion");
  },
  stream: async () => {
    const plain = await gather(await gpt.chat.completions.create({ model, messages, stream: true }));
    assert.ok(plain.length > 3);
    assert.ok(plain.every((one) => !one.usage));
    const counted = gpt.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    const said = (await counted.finalChatCompletion()).choices[0].message.content;
    assert.equal(said, plain.map((one) => one.choices[0].delta.content ?? "").join(""));
    assert.ok((await counted.totalUsage()).completion_tokens > 0);
  },
  tools: async () => {
    let asked;
    const tools = [zodFunction({
      name: "get_weather", parameters: place, function: (given) => ((asked = given), "Sunny"),
    })];
    const runner = gpt.chat.completions.runTools({ model, messages: weather, tools });
    assert.ok(await runner.finalContent());
    assert.ok(asked.city);
    const streamed = gpt.chat.completions.runTools({ model, messages: weather, tools, stream: true });
    assert.ok(await streamed.finalContent());
    assert.equal(streamed.messages.filter((one) => one.role === "tool").length, 1);
  },
  structured: async () => {
    const response_format = zodResponseFormat(Forecast, "forecast");
    const asked = { model, messages: weather, response_format };
    isForecast((await gpt.chat.completions.parse(asked)).choices[0].message.parsed);
    isForecast((await gpt.chat.completions.stream(asked).finalChatCompletion()).choices[0].message.parsed);
  },
  image: async () => {
    const image_url = { url: `data:image/png;base64,${DOT}` };
    const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url }];
    const said = await gpt.chat.completions.create({ model, messages: [{ role: "user", content }] });
    assert.ok(said.choices[0].message.content);
  },
  responses: async () => {
    const asked = { model, input: "Say hello", store: false };
    const whole = await gpt.responses.create(asked);
    assert.ok(whole.output_text);
    assert.ok(whole.usage.output_tokens > 0);
    const events = await gather(await gpt.responses.create({ ...asked, stream: true }));
    assert.deepEqual([events[0].type, events.at(-1).type], ["response.created", "response.completed"]);
    assert.equal((await gpt.responses.stream(asked).finalResponse()).output_text, whole.output_text);
    isForecast((await gpt.responses.parse({ ...asked, text: { format: zodTextFormat(Forecast, "forecast") } })).output_parsed);
    const tools = [{ type: "function", name: "get_weather", strict: true, parameters: z.toJSONSchema(place) }];
    const called = (await gpt.responses.create({ ...asked, tools })).output.find((one) => one.type === "function_call");
    const result = { type: "function_call_output", call_id: called.call_id, output: "Sunny" };
    const input = [{ role: "user", content: "Weather?" }, called, result];
    assert.ok((await gpt.responses.create({ ...asked, input, tools })).output_text);
    const picture = { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${DOT}` };
    const seen = [{ role: "user", content: [{ type: "input_text", text: "And this?" }, picture] }];
    assert.ok((await gpt.responses.create({ ...asked, input: seen })).output_text);
  },
});

// What an Anthropic client usually does, with the model of either provider.
const ofAnthropic = (model) => ({
  whole: async () => {
    const asked = { model, max_tokens: 50, messages, system: "Be short." };
    const { data, response, request_id } = await claude.messages.create(asked).withResponse();
    assert.equal(data.content.at(-1).type, "text");
    assert.ok(data.usage.input_tokens > 0 && data.usage.output_tokens > 0);
    assert.equal(request_id, response.headers.get("x-llmlab-request-id"));
    assert.ok((await claude.messages.countTokens({ model, messages })).input_tokens > 0);
  },
  stream: async () => {
    const asked = { model, max_tokens: 200, messages };
    const events = await gather(await claude.messages.create({ ...asked, stream: true }));
    assert.deepEqual([events[0].type, events.at(-1).type], ["message_start", "message_stop"]);
    const said = events.map((one) => one.delta?.text ?? "").join("");
    const stream = claude.messages.stream(asked);
    assert.equal(await stream.finalText(), said);
    assert.ok((await stream.finalMessage()).usage.output_tokens > 1);
  },
  thinking: async () => {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const said = await claude.messages.create({ model, max_tokens: 2000, messages, thinking });
    assert.equal(said.content.at(-1).type, "text");
  },
  tools: async () => {
    let asked;
    const run = (given) => ((asked = given), "Sunny");
    const tools = [betaZodTool({ name: "get_weather", description: "The weather", inputSchema: place, run })];
    const runner = { model, max_tokens: 200, messages: weather, tools };
    assert.equal((await claude.beta.messages.toolRunner(runner)).stop_reason, "end_turn");
    assert.ok(asked.city);
    const plain = [{ name: "get_weather", input_schema: z.toJSONSchema(place) }];
    const final = await claude.messages.stream({ ...runner, tools: plain }).finalMessage();
    assert.equal(final.stop_reason, "tool_use");
    assert.ok(final.content.at(-1).input.city);
  },
  structured: async () => {
    const output_config = { format: zodOutputFormat(Forecast) };
    const asked = { model, max_tokens: 200, messages: weather, output_config };
    isForecast((await claude.messages.parse(asked)).parsed_output);
    isForecast((await claude.messages.stream(asked).finalMessage()).parsed_output);
  },
  image: async () => {
    const source = { type: "base64", media_type: "image/png", data: DOT };
    const content = [{ type: "image", source }, { type: "text", text: "What is this?" }];
    const said = await claude.messages.create({ model, max_tokens: 50, messages: [{ role: "user", content }] });
    assert.equal(said.content.at(-1).type, "text");
  },
});

const others = {
  embeddings: async () => {
    const asked = { model: "text-embedding-3-small", input: ["a", "b"], dimensions: 8 };
    const packed = await gpt.embeddings.create(asked);
    assert.deepEqual(packed.data.map((one) => one.embedding.length), [8, 8]);
    const plain = await gpt.embeddings.create({ ...asked, encoding_format: "float" });
    assert.ok(Math.abs(plain.data[0].embedding[0] - packed.data[0].embedding[0]) < 1e-6);
  },
  models: async () => {
    assert.ok((await gather(gpt.models.list())).some((one) => one.id === GPT));
    assert.equal((await gpt.models.retrieve(GPT)).id, GPT);
    assert.ok((await gather(claude.models.list())).some((one) => one.id === CLAUDE));
    assert.equal((await claude.models.retrieve(CLAUDE)).type, "model");
  },
  "errors of openai": async () => {
    const ask = (model, client = gpt) => client.chat.completions.create({ model, messages });
    const missing = await ask("no-such-model").catch((error) => error);
    assert.ok(missing instanceof OpenAI.NotFoundError);
    assert.equal(missing.code, "model_not_found");
    assert.ok(missing.requestID);
    await assert.rejects(ask(`${GPT}+quota`), OpenAI.RateLimitError);
    await assert.rejects(ask(`${GPT}+error`), OpenAI.InternalServerError);
    await assert.rejects(ask(GPT, gpt.withOptions({ apiKey: "nobody's" })), OpenAI.AuthenticationError);
    await assert.rejects(gpt.chat.completions.create({ model: GPT, messages: "?" }), OpenAI.BadRequestError);
    await assert.rejects(ask(`${GPT}+slow:5`, gpt.withOptions({ timeout: 200 })), OpenAI.APIConnectionTimeoutError);
    const cut = await gpt.chat.completions.create({ model: `${GPT}+cut`, messages, stream: true });
    await assert.rejects(gather(cut), OpenAI.APIError);
  },
  "errors of anthropic": async () => {
    const ask = (model, client = claude) => client.messages.create({ model, max_tokens: 9, messages });
    const missing = await ask("no-such-model").catch((error) => error);
    assert.ok(missing instanceof Anthropic.NotFoundError);
    assert.equal(missing.type, "not_found_error");
    assert.ok(missing.requestID);
    await assert.rejects(ask(`${CLAUDE}+too_long`), Anthropic.BadRequestError);
    await assert.rejects(ask(`${CLAUDE}+rate_limit:90`), Anthropic.RateLimitError);
    await assert.rejects(ask(`${GPT}+error`), Anthropic.InternalServerError);
    await assert.rejects(ask(CLAUDE, claude.withOptions({ apiKey: "nobody's" })), Anthropic.AuthenticationError);
    const cut = await claude.messages.create({ model: `${CLAUDE}+stream_error`, max_tokens: 99, messages, stream: true });
    await assert.rejects(gather(cut), Anthropic.APIError);
  },
  abort: async () => {
    const stream = await gpt.chat.completions.create({ model: GPT, messages, stream: true });
    for await (const _ of stream) break;
    const controller = new AbortController();
    const asked = gpt.chat.completions.create({ model: `${GPT}+slow:5`, messages }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(asked, OpenAI.APIUserAbortError);
  },
};

const named = (title, made) => Object.entries(made).map(([name, run]) => [`${title}: ${name}`, run]);
const scenarios = [
  ...named("openai", ofOpenAI(GPT)),
  ...named("openai with Claude", ofOpenAI(CLAUDE)),
  ...named("anthropic", ofAnthropic(CLAUDE)),
  ...named("anthropic with GPT", ofAnthropic(GPT)),
  ...Object.entries(others),
].filter(([name]) => !wanted.length || wanted.includes(name));
const told = {};
await Promise.all(
  scenarios.map(async ([name, run]) => {
    told[name] = await run().then(() => "", (error) => error.stack);
  }),
);
console.log(JSON.stringify(told));
