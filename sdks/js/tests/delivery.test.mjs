// Delivery against a local server that misbehaves in every way.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LLMLab } from "llmlab";
import { backOff, retryAfter } from "../dist/esm/delivery/transport.js";
import { listener, startServer } from "./support/server.mjs";

async function setUp(answer, options = {}) {
  const server = await startServer(answer);
  const { said, logger } = listener();
  const llm = new LLMLab({ apiKey: "llmlab_sk_test", project: "shop", baseUrl: server.url, logger, liveInterval: 0, ...options });
  const end = async () => {
    await llm.shutdown(0.01);
    await server.stop();
  };
  return { server, said, llm, end };
}
const names = (server) => server.steps().map((step) => step.name);
async function until(check, ms = 5000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(5)) if (check()) return;
  assert.fail(`not within ${ms} ms: ${check}`);
}

test("the upload: address, headers, gzip, one item per trace", async () => {
  const { server, llm, end } = await setUp();
  llm.trace("a", () => { for (let n = 0; n < 30; n++) llm.span(`a${n}`, () => "x".repeat(50)); });
  llm.trace("b", () => 1);
  assert.equal(await llm.flush(), true);
  assert.deepEqual(llm.stats(), { queued: 0, queuedBytes: 0, dropped: 0 });
  assert.equal(server.requests.length, 1);
  const [{ path, headers, body }] = server.requests;
  assert.equal(path, "/api/v1/projects/shop/traces");
  assert.equal(headers.authorization, "Bearer llmlab_sk_test");
  assert.equal(headers["content-encoding"], "gzip");
  assert.match(headers["user-agent"], /^llmlab-js\/0\.2\.0$/);
  assert.deepEqual(body.traces.map((item) => [item.name, item.steps.length]), [["a", 31], ["b", 1]]);
  await end();
});

test("flushAt steps make a batch, flushInterval sends the rest", async () => {
  const { server, llm, end } = await setUp(undefined, { flushAt: 10, flushInterval: 0.2 });
  for (let n = 0; n < 12; n++) llm.trace(`t${n}`, () => n);
  await until(() => names(server).length >= 10);
  const early = server.requests.length;
  await until(() => names(server).length === 12);
  assert.ok(early >= 1);
  await end();
});

test("scores go to their own address", async () => {
  const { server, llm, end } = await setUp();
  llm.score({ name: "s", value: 0.5, traceId: "t-1", id: "one" });
  llm.trace("t", () => 1);
  assert.equal(await llm.flush(), true);
  const score = server.requests.find(({ path }) => path.endsWith("/scores"));
  assert.deepEqual([score.body.scores[0].id, score.body.scores[0].value], ["one", 0.5]);
  await end();
});

test("429, 500, 503 and a broken connection: all arrives, once, later", async () => {
  const faults = [{ status: 429, headers: { "retry-after": "0" } }, { status: 500 }, { status: 503 }];
  const { server, llm, end } = await setUp(() => faults.shift());
  for (let n = 0; n < 5; n++) llm.trace(`t${n}`, () => n);
  await llm.flush(10);
  assert.deepEqual(names(server), ["t0", "t1", "t2", "t3", "t4"]);
  assert.equal(server.requests.length, 4);
  await end();
});

test("Retry-After is waited for", async () => {
  let asked = 0;
  const { server, llm, end } = await setUp(() => (asked++ ? undefined : { status: 503, headers: { "retry-after": "0.4" } }), { flushInterval: 0.02 });
  llm.trace("t", () => 1);
  await until(() => asked === 1);
  const started = performance.now();
  await until(() => names(server).length === 1);
  assert.ok(performance.now() - started > 300);
  await end();
});

test("Retry-After as seconds, as a date, as nonsense; back-off with full jitter", () => {
  assert.equal(retryAfter("7"), 7);
  assert.equal(retryAfter("100000"), 300);
  assert.equal(retryAfter("Thu, 01 Jan 2026 00:00:10 GMT", Date.parse("2026-01-01T00:00:00Z")), 10);
  assert.equal(retryAfter("soon"), undefined);
  assert.equal(retryAfter(null), undefined);
  for (let n = 0; n < 100; n++) {
    const wait = backOff(n, 30);
    assert.ok(wait >= 0 && wait <= Math.min(30, 0.5 * 2 ** n));
  }
});

test("a server that is away: calls cost nothing, memory is bounded, losses are counted and told", async () => {
  const { said, logger } = listener();
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: "http://127.0.0.1:9", logger, maxQueueBytes: 200_000, flushInterval: 0.05, liveInterval: 0 });
  const times = [];
  for (let n = 0; n < 5000; n++) {
    const started = performance.now();
    llm.trace("t", { input: "x".repeat(500) }, () => n);
    times.push(performance.now() - started);
    if (n % 100 === 0) await sleep(1);
  }
  times.sort((one, other) => one - other);
  assert.ok(times[2500] < 1, `median ${times[2500]} ms`);
  assert.ok(llm.recorder.delivery.bytes <= 200_000);
  assert.ok(llm.dropped > 3000, String(llm.dropped));
  assert.equal(await llm.flush(0.1), false);
  assert.equal(await llm.shutdown(0.1), false);
  assert.equal(llm.dropped, 5000);
  assert.equal(said.filter((text) => text.includes("does not answer")).length, 1);
  assert.equal(said.filter((text) => text.includes("could not be kept")).length, 1);
  assert.equal(said.filter((text) => text.includes("are lost")).length, 1);
});

test("a server that never answers is given up after the timeout", async () => {
  const sockets = [];
  const silent = createServer((socket) => sockets.push(socket));
  await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { said, logger } = listener();
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: `http://127.0.0.1:${silent.address().port}`, logger, timeout: 0.1 });
  llm.trace("t", () => 1);
  assert.equal(await llm.flush(0.4), false);
  assert.match(said[0], /no answer within 0.1 s/);
  await llm.shutdown(0.01);
  sockets.forEach((socket) => socket.destroy());
  silent.close();
});

test("413: halves until it fits; one step alone loses its contents, not itself", async () => {
  const answer = ({ text }) => (text.length > 3000 ? { status: 413 } : undefined);
  const { server, said, llm, end } = await setUp(answer);
  for (let n = 0; n < 8; n++) llm.trace(`t${n}`, { input: "x".repeat(400) }, () => n);
  llm.trace("big", { input: "x".repeat(10_000), model: "m" }, () => 1);
  assert.equal(await llm.flush(), true);
  assert.deepEqual(names(server).sort(), ["big", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"]);
  const big = server.steps().find((step) => step.name === "big");
  assert.equal(big.input, "[cut: 10002 bytes]");
  assert.equal(big.request_model, "m");
  assert.deepEqual(said, []);
  await end();
});

test("400: told, counted, dropped; what follows is sent", async () => {
  let isBad = true;
  const { server, said, llm, end } = await setUp(() => (isBad ? { status: 400, body: { detail: "the body is bad", code: "x" } } : undefined));
  llm.trace("bad", () => 1);
  assert.equal(await llm.flush(), false);
  isBad = false;
  llm.trace("good", () => 1);
  assert.equal(await llm.flush(), true);
  assert.deepEqual(names(server), ["good"]);
  assert.equal(llm.dropped, 1);
  assert.ok(said.some((text) => text.includes("HTTP 400: the body is bad")));
  await end();
});

test("a wrong key is told once; steps are kept until somebody mends it", async () => {
  let isMended = false;
  const { server, said, llm, end } = await setUp(() => (isMended ? undefined : { status: 401, body: { detail: "unknown key" } }));
  llm.trace("t", () => 1);
  assert.equal(await llm.flush(0.5), false);
  assert.equal(await llm.flush(0.5), false);
  isMended = true;
  assert.equal(await llm.flush(), true);
  assert.deepEqual(names(server), ["t"]);
  assert.equal(said.filter((text) => /refused the key or the project "shop" \(HTTP 401: unknown key\)/.test(text)).length, 1);
  await end();
});

test("refused steps of a batch are told once per code and counted", async () => {
  const answer = ({ body }) => ({ status: 207, body: { results: body.traces.map((_, index) => ({ index, status: 400, result: "rejected", rejected: [{ index: 0, id: "x", code: "invalid_field", detail: "started_at is too old" }] })) } });
  const { said, llm, end } = await setUp(answer);
  llm.trace("a", () => 1);
  llm.trace("b", () => 1);
  await llm.flush();
  assert.equal(llm.dropped, 2);
  assert.equal(said.filter((text) => text.includes("invalid_field")).length, 1);
  await end();
});

test("a redirect or a stranger's page is no acknowledgement", async () => {
  const answers = [{ status: 301, headers: { location: "https://x/" } }, { status: 200, body: "<html>welcome</html>" }];
  const { server, said, llm, end } = await setUp(() => answers.shift());
  llm.trace("t", () => 1);
  await llm.flush(5);
  await llm.flush(5);
  assert.deepEqual(names(server), ["t", "t"].slice(0, names(server).length));
  assert.equal(server.requests.at(-1).status, 207);
  assert.equal(said.length, 2);
  await end();
});

test("flush during heavy use; nothing is lost or doubled", async () => {
  const { server, llm, end } = await setUp(() => (Math.random() < 0.3 ? { status: 503, headers: { "retry-after": "0" } } : undefined), { flushInterval: 0.01 });
  for (let n = 0; n < 2000; n++) {
    llm.trace(`t${n}`, () => n);
    if (n % 250 === 0) void llm.flush();
    if (n % 50 === 0) await sleep(0);
  }
  assert.equal(await llm.flush(20), true);
  const ids = server.steps().map((step) => step.id);
  assert.equal(ids.length, 2000);
  assert.equal(new Set(ids).size, 2000);
  assert.equal(llm.dropped, 0);
  await end();
});

test("after shutdown nothing is sent and nothing breaks", async () => {
  const { server, llm, end } = await setUp();
  llm.trace("before", () => 1);
  assert.equal(await llm.shutdown(), true);
  assert.equal(llm.trace("after", () => 5), 5);
  assert.equal(await llm.flush(0.1), true);
  assert.deepEqual(names(server), ["before"]);
  await end();
});

test("a clock that is off, and a logger that throws", async () => {
  const { server, end, llm } = await setUp(undefined, { logger: { warn() { throw new Error("logger"); } }, sampleRate: 9 });
  const real = Date.now;
  try {
    llm.trace("before", () => (Date.now = () => real() + 86_400_000, llm.span("inside", () => 1)));
  } finally {
    Date.now = real;
  }
  llm.trace("after", () => 1);
  assert.equal(await llm.flush(), true);
  for (const step of server.steps()) assert.ok(step.ended_at >= step.started_at, step.name);
  await end();
});
