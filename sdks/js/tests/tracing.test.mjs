// Own steps: parents, what is said of them, sampling, masks, propagation, scores.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LLMLab, TestExporter, trace, updateCurrent, currentTraceId } from "llmlab";
import { listener } from "./support/server.mjs";

function client(options = {}) {
  const exporter = new TestExporter();
  const llm = new LLMLab({ exporter, ...options });
  return { llm, exporter, steps: async () => (await llm.flush(), exporter.steps) };
}
const byName = (steps) => Object.fromEntries(steps.map((step) => [step.name, step]));

test("a trace and its steps", async () => {
  const { llm, exporter, steps } = client({ environment: "test", release: "1.2" });
  const result = await llm.trace("agent", { user: "u-1", session: "s-1", tags: ["a"], metadata: { plan: "pro" }, input: "question" }, async (root) => {
    assert.equal(llm.currentTraceId(), root.traceId);
    const found = llm.retrieval("search", { input: { q: 1 } }, () => ["doc"]);
    await llm.generation("answer", { model: "gpt-5", provider: "openai" }, async (span) => {
      await sleep(1);
      span.update({ usage: { input_tokens: 3, output_tokens: 4 }, output: "yes", finishReason: "stop" });
    });
    return found;
  });
  assert.deepEqual(result, ["doc"]);
  const all = byName(await steps());
  const [item] = exporter.items;
  assert.equal(item.trace_id.length, 32);
  assert.equal(item.root_id, all.agent.id);
  assert.deepEqual([item.name, item.status, item.user, item.session, item.environment, item.release], ["agent", "ok", "u-1", "s-1", "test", "1.2"]);
  assert.deepEqual([item.tags, item.metadata], [["a"], { plan: "pro" }]);
  assert.equal(item.parent_id, undefined);
  assert.equal(all.agent.type, "agent");
  assert.equal(all.agent.parent_id, undefined);
  assert.deepEqual([all.agent.input, all.agent.output], ["question", ["doc"]]);
  assert.deepEqual([all.search.type, all.search.parent_id, all.search.input, all.search.output], ["retrieval", all.agent.id, { q: 1 }, ["doc"]]);
  assert.deepEqual([all.answer.type, all.answer.request_model, all.answer.model, all.answer.usage, all.answer.finish_reason], ["llm", "gpt-5", "gpt-5", { input_tokens: 3, output_tokens: 4 }, "stop"]);
  assert.match(all.agent.started_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test("errors pass through and are recorded", async () => {
  const { llm, exporter, steps } = client();
  class TooBad extends Error {}
  assert.throws(() => llm.trace("sync", () => { throw new TooBad("no"); }), TooBad);
  await assert.rejects(llm.trace("async", async () => { throw new TooBad("later"); }), TooBad);
  const all = byName(await steps());
  assert.deepEqual(all.sync.error, { type: "TooBad", message: "no" });
  assert.deepEqual([all.async.status, all.async.error.message], ["error", "later"]);
  assert.deepEqual(exporter.items.map((item) => item.status), ["error", "error"]);
  assert.throws(() => llm.trace("odd", () => { throw undefined; }), (error) => error === undefined);
});

test("parents are right under concurrency", async () => {
  const { llm, steps } = client();
  const work = (name) => llm.span(name, async () => {
    await sleep(Math.random() * 5);
    await Promise.all([1, 2].map((n) => llm.span(`${name}.${n}`, async () => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      llm.span(`${name}.${n}.x`, () => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    })));
  });
  await Promise.all(["a", "b", "c"].map((name) => llm.trace(name, () => work(`${name}.1`))));
  const all = await steps();
  assert.equal(all.length, 3 + 3 + 6 + 6);
  const named = byName(all);
  for (const step of all) {
    const parent = step.name.replace(/\.[^.]+$/, "");
    assert.equal(step.parent_id, parent === step.name ? undefined : named[parent].id, step.name);
    assert.equal(step.trace_id, named[step.name[0]].trace_id);
  }
});

test("what a timer starts belongs to who set it", async () => {
  const { llm, steps } = client();
  let late;
  await llm.trace("root", async () => {
    late = new Promise((resolve) => setTimeout(() => resolve(llm.span("late", () => 1)), 5));
  });
  await late;
  const all = byName(await steps());
  assert.equal(all.late.parent_id, all.root.id);
});

test("generators, async and sync, end with their last item and keep their parent inside", async () => {
  const { llm, steps } = client();
  const texts = [];
  const stream = llm.trace("async", async function* () {
    yield "a";
    llm.span("inside", () => undefined);
    yield "b";
    return undefined;
  });
  for await (const text of stream) {
    llm.span("outside", () => undefined);
    texts.push(text);
  }
  assert.deepEqual(texts, ["a", "b"]);
  assert.deepEqual([...llm.trace("sync", function* () { yield 1; yield 2; })], [1, 2]);
  let isClosed = false;
  for (const _ of llm.trace("left", function* () { try { yield 1; yield 2; } finally { isClosed = true; } })) break;
  assert.ok(isClosed);
  const all = await steps();
  const named = byName(all);
  assert.equal(named.async.output, "ab");
  assert.equal(named.inside.parent_id, named.async.id);
  assert.ok(all.filter((step) => step.name === "outside").every((step) => step.parent_id === undefined));
  assert.deepEqual(named.sync.output, [1, 2]);
  assert.deepEqual([named.left.output, named.left.status], [[1], "ok"]);
});

test("updateCurrent: facts of the trace, fields of the step; traced functions; manual spans", async () => {
  const { llm, exporter, steps } = client();
  await trace("root", async () => {
    llm.span("inner", () => updateCurrent({ user: "u", tags: ["x"], metadata: { a: 1 }, output: "o", promptVersion: "p1" }));
    assert.equal(currentTraceId()?.length, 32);
    await llm.traced("double", async (n) => n * 2)(4);
    const span = llm.startSpan("manual", { type: "tool", parent: llm.currentSpan() });
    llm.within(span, () => llm.span("below", () => undefined));
    span.end({ output: 1 });
    span.end({ output: 2 });
  });
  const all = byName(await steps());
  const [item] = exporter.items;
  assert.deepEqual([item.user, item.tags, item.metadata], ["u", ["x"], { a: 1 }]);
  assert.deepEqual([all.inner.output, all.inner.prompt_version, all.inner.user], ["o", "p1", undefined]);
  assert.deepEqual([all.double.input, all.double.output, all.double.parent_id], [4, 8, all.root.id]);
  assert.deepEqual([all.manual.output, all.below.parent_id], [1, all.manual.id]);
});

test("what is handed over is kept as it was then", async () => {
  const { llm, steps } = client();
  const messages = [{ role: "user" }];
  llm.trace("root", { input: messages }, () => void messages.push({ role: "assistant" }));
  assert.deepEqual((await steps())[0].input, [{ role: "user" }]);
});

test("hostile values cost the program nothing", async () => {
  const { logger } = listener();
  const { llm, steps } = client({ logger });
  const circular = { name: "c" };
  circular.self = circular;
  const evil = new Proxy({}, { ownKeys() { throw new Error("mine"); }, get() { throw new Error("mine"); } });
  const getter = { get broken() { throw new Error("no"); }, fine: 1 };
  const deep = {};
  let at = deep;
  for (let n = 0; n < 50_000; n++) at = at.next = {};
  const values = { circular, evil, getter, deep, big: 2n ** 80n, nan: NaN, bytes: new Uint8Array(7), fn: function f() {}, symbol: Symbol("s"), date: new Date(NaN), map: new Map([["k", new Set([1])]]), error: new TypeError("t"), promise: Promise.resolve(), huge: "x".repeat(4 * 1024 * 1024), none: undefined, wide: Array(200_000).fill({}) };
  llm.trace("root", { input: values, metadata: circular, tags: [circular, "ok", 3], user: { id: 1 }, type: "nonsense" }, (span) => {
    span.update({ usage: 5, parameters: "hot", tools: "t", timeToFirstTokenMs: "soon", error: undefined });
    span.update(null);
    return evil;
  });
  for (const [name, value] of Object.entries(values)) llm.span(`v:${name}`, { output: value }, () => undefined);
  const all = byName(await steps());
  const input = all["v:circular"].output;
  assert.deepEqual(input, { name: "c", self: "[circular]" });
  assert.match(all["v:evil"].output, /unreadable/);
  assert.deepEqual(all["v:getter"].output, { broken: "[unreadable]", fine: 1 });
  assert.ok(JSON.stringify(all["v:deep"].output).includes("[deep]"));
  assert.equal(all["v:big"].output, String(2n ** 80n));
  assert.equal(all["v:nan"].output, "NaN");
  assert.equal(all["v:bytes"].output, "[bytes: 7]");
  assert.deepEqual(all["v:map"].output, { k: [1] });
  assert.deepEqual(all["v:error"].output, { name: "TypeError", message: "t" });
  assert.match(all["v:huge"].output, /…\[cut: 3145728 characters\]$/);
  assert.ok(JSON.stringify(all["v:wide"].output).includes("[too much]"));
  assert.equal(llm.dropped, 0);
  assert.equal(all.root.parameters.value, "hot");
});

test("sampling: what is not kept is not sent, unless something failed", async () => {
  const { llm, steps } = client({ sampleRate: 0 });
  llm.trace("fine", () => llm.span("child", () => 1));
  assert.throws(() => llm.trace("outer", () => llm.span("bad", () => { throw new Error("x"); })));
  const caught = llm.trace("caught", () => { try { llm.span("inner", () => { throw new Error("x"); }); } catch { return "ok"; } });
  assert.equal(caught, "ok");
  await sleep(20);
  assert.deepEqual((await steps()).map((step) => step.name).sort(), ["bad", "caught", "inner", "outer"]);
});

test("sampling follows the caller's flag", async () => {
  const all = client({ sampleRate: 1 });
  const none = client({ sampleRate: 0 });
  const header = (flag) => ({ traceparent: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flag}` });
  all.llm.continued(header("00"), () => all.llm.trace("t", () => 1));
  none.llm.continued(header("01"), () => none.llm.trace("t", () => 1));
  await sleep(10);
  assert.equal((await all.steps()).length, 0);
  assert.equal((await none.steps()).length, 1);
});

test("unfinished traces outside the sample are forgotten in time", async () => {
  const { llm } = client({ sampleRate: 0 });
  const open = Array.from({ length: 1500 }, (_, n) => llm.startSpan(`t${n}`));
  for (const root of open) for (let n = 0; n < 3; n++) llm.startSpan("c", { parent: root }).end();
  const held = open.map((root) => root.trace.waiting.length);
  assert.equal(held.filter((count) => count > 0).length, 1000);
  const one = open[1499];
  for (let n = 0; n < 2000; n++) llm.startSpan("c", { parent: one }).end();
  assert.equal(one.trace.waiting.length, 1000);
});

test("masks reach all that was said", async () => {
  const { said, logger } = listener();
  const { llm, exporter, steps } = client({ logger, mask: ["email", (text) => text.replaceAll("secret", "***"), (text) => { if (text === "boom") throw new Error("x"); return text; }] });
  assert.throws(() => llm.trace("t", { input: [{ content: "ada@example.com secret" }], metadata: { a: "bob@example.org" }, tools: [{ d: "secret" }] }, () => { throw new Error("for eve@example.com"); }));
  llm.trace("b", { input: "boom" }, () => 1);
  const all = byName(await steps());
  assert.deepEqual(all.t.input, [{ content: "[email] ***" }]);
  assert.deepEqual(all.t.tools, [{ d: "***" }]);
  assert.equal(all.t.error.message, "for [email]");
  assert.deepEqual(exporter.items[0].metadata, { a: "[email]" });
  assert.equal(all.b.input, "[masked]");
  assert.equal(said.length, 1);
});

test("content can be left out everywhere, or in parts", async () => {
  const off = client({ captureContent: false });
  off.llm.trace("t", { input: "i", tools: [1], metadata: { m: 1 } }, () => "o");
  const [step] = await off.steps();
  assert.deepEqual([step.input, step.output, step.tools], [undefined, undefined, undefined]);
  const on = client();
  on.llm.trace("t", { input: "i", captureContent: false }, () => on.llm.span("c", { input: "i" }, () => "o"));
  on.llm.trace("u", { input: "i" }, () => on.llm.withoutContent(() => on.llm.span("d", { input: "i" }, () => "o")));
  const all = byName(await on.steps());
  assert.deepEqual([all.t.input, all.c.input, all.c.output, all.u.input, all.d.input], [undefined, undefined, undefined, "i", undefined]);
});

test("one trace across processes", async () => {
  const one = client();
  const other = client();
  let headers;
  const inside = one.llm.trace("caller", () => {
    headers = one.llm.inject(new Headers({ a: "b" }));
    assert.deepEqual(one.llm.inject({}), { traceparent: headers.get("traceparent") });
    return one.llm.currentTraceId();
  });
  other.llm.trace("callee", { parent: other.llm.extract({ headers }) }, () => other.llm.span("c", () => 1));
  other.llm.continued({ TraceParent: [headers.get("traceparent")] }, () => other.llm.trace("again", () => 1));
  await other.llm.flush();
  const caller = (await one.steps())[0];
  const items = other.exporter.items;
  assert.deepEqual(items.map((item) => [item.trace_id, item.parent_id]), [[inside, caller.id], [inside, caller.id]]);
  const named = byName(other.exporter.steps);
  assert.equal(named.callee.parent_id, caller.id);
  assert.equal(items[0].root_id, named.callee.id);
  assert.equal(other.llm.extract({ traceparent: "nonsense" }), null);
  assert.equal(other.llm.extract(undefined), null);
  assert.deepEqual(other.llm.inject({}), {});
});

test("two clients keep their traces apart", async () => {
  const one = client();
  const other = client();
  one.llm.trace("a", () => other.llm.trace("b", () => one.llm.span("c", () => 1)));
  const [a, c] = [byName(await one.steps()).a, byName(await one.steps()).c];
  assert.equal((await other.steps())[0].parent_id, undefined);
  assert.notEqual(a.trace_id, (await other.steps())[0].trace_id);
  assert.equal(c.parent_id, undefined, "inside another client's step a new trace begins");
});

test("scores", async () => {
  const { said, logger } = listener();
  const { llm, exporter } = client({ logger, environment: "test" });
  const id = llm.trace("t", () => llm.score({ name: "thumbs", value: true, reason: "good" }));
  llm.score({ name: "tone", value: "rude", session: "s-1", id: "mine", comment: "by hand" });
  llm.score({ name: "lost", value: 1 });
  await llm.flush();
  const [first, second] = exporter.sentScores;
  assert.equal(first.id, id);
  assert.deepEqual([first.name, first.value, first.reason, first.trace_id, first.environment], ["thumbs", true, "good", exporter.items[0].trace_id, "test"]);
  assert.deepEqual([second.id, second.session, second.trace_id, second.reason], ["mine", "s-1", undefined, "by hand"]);
  assert.equal(exporter.sentScores.length, 2);
  assert.match(said[0], /needs a traceId or a session/);
});

test("running steps are announced", async () => {
  const { llm, exporter } = client({ liveInterval: 0.02 });
  await llm.trace("slow", { input: "i" }, async () => {
    await sleep(80);
    const [item] = exporter.items;
    assert.deepEqual([item.status, item.steps[0].status, item.steps[0].input, item.ended_at], ["running", "running", "i", undefined]);
  });
  await llm.flush();
  assert.deepEqual(exporter.steps.map((step) => step.status), ["ok"]);
  const quiet = client({ liveInterval: 0 });
  await quiet.llm.trace("slow", () => sleep(40));
  assert.equal(quiet.exporter.items.length, 0);
});

test("settings: bad ones are told once and the default is used", () => {
  const { said, logger } = listener();
  process.env.LLMLAB_FLUSH_AT = "many";
  process.env.LLMLAB_MASK = "email, nothing";
  process.env.LLMLAB_ENVIRONMENT = "from-env";
  process.env.LLMLAB_ENABLED = "no";
  try {
    const llm = new LLMLab({ logger, sampleRate: 7, baseUrl: "ftp://x", timeout: "2", flushInterval: -1, captureContent: "maybe", apiKey: 5 });
    assert.deepEqual([llm.settings.flushAt, llm.settings.sampleRate, llm.settings.timeout, llm.settings.flushInterval, llm.settings.captureContent], [100, 1, 2, 5, true]);
    assert.deepEqual([llm.settings.masks, llm.settings.environment, llm.settings.baseUrl, llm.settings.enabled], [["email"], "from-env", "http://localhost:8000", false]);
    assert.equal(llm.isOn, false);
    assert.equal(said.length, 7);
    assert.ok(said.every((text) => !text.includes("5: it must be text")), "no key in a message");
  } finally {
    for (const name of Object.keys(process.env)) if (name.startsWith("LLMLAB_")) delete process.env[name];
  }
});

test("without a key the SDK is off, says so once and harms nothing", async () => {
  const { said, logger } = listener();
  const llm = new LLMLab({ logger });
  assert.equal(llm.isOn, false);
  assert.equal(llm.trace("t", () => llm.generation("g", () => 5)), 5);
  llm.score({ name: "s", value: 1, traceId: "t" });
  assert.deepEqual(await llm.instrument(), []);
  assert.equal(await llm.flush(), true);
  assert.deepEqual(said, ["[llmlab] Nothing is recorded: apiKey (LLMLAB_API_KEY) and project (LLMLAB_PROJECT) missing."]);
});
