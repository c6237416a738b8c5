// Budgets set in LLMLab: read by the program, and a guard that never waits for them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { BudgetExceededError, LLMLab } from "llmlab";
import { firstRefusing, serverBudgetOf } from "../dist/esm/core/server_budgets.js";
import { listener } from "./support/server.mjs";

const contract = JSON.parse(readFileSync(new URL("../../contract/budgets.json", import.meta.url), "utf8"));
const later = () => new Date(Date.now() + 3_600_000).toISOString();
const spent = (change = {}) => ({ results: [{ ...contract.answer.results[5], name: "Everything", resets_at: later(), ...change }], poll_after_seconds: 30 });
const answer = JSON.stringify({ id: "c", model: "m", choices: [{ message: { role: "assistant", content: "x" }, finish_reason: "stop" }] });

async function setUp(reading, options = {}) {
  const reads = [];
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    if (request.method === "POST") return response.writeHead(207).end('{"results":[]}');
    reads.push({ path: request.url, headers: request.headers });
    const { status = 200, body, delay = 0 } = reading(request);
    await sleep(delay);
    response.writeHead(status, { etag: '"a"' }).end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const told = listener();
  const llm = new LLMLab({ apiKey: "k", project: "shop", baseUrl: `http://127.0.0.1:${server.address().port}`, logger: told.logger, serverBudgets: true, timeout: 2, ...options });
  let sent = 0;
  const client = llm.wrap(new OpenAI({ apiKey: "k", maxRetries: 0, fetch: async () => (sent++, new Response(answer, { headers: { "content-type": "application/json" } })) }));
  const call = (model = "m") => client.chat.completions.create({ model, messages: [{ role: "user", content: "x" }] });
  const end = async () => {
    await llm.shutdown(0.5);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { llm, call, reads, told, sent: () => sent, end };
}

test("the contract says which budget refuses", () => {
  const budgets = contract.answer.results.map(serverBudgetOf);
  assert.ok(contract.cases.length >= 10);
  for (const { name, at, user, model, tags, refused_by } of contract.cases) {
    const found = firstRefusing(budgets, new Date(at), { user, tags, model: () => model });
    assert.equal(found?.name ?? null, refused_by, name);
  }
});

test("budgets are read with every digit, and asked for once they change", async () => {
  const { llm, reads, end } = await setUp(({ headers }) => (headers["if-none-match"] ? { status: 304, body: "" } : { body: contract.answer }));
  const found = await llm.budgets();
  assert.deepEqual(found.map((one) => one.name).slice(0, 2), ["Ada", "Core team"]);
  assert.equal(found[6].remainingUsd, "0.000000000001");
  assert.equal(found[0].resetsAt.toISOString(), "2026-12-01T00:00:00.000Z");
  assert.equal(await llm.budgets(), found);
  assert.deepEqual(reads.map(({ path }) => path), Array(2).fill("/api/v1/projects/shop/budgets"));
  assert.deepEqual(reads.map(({ headers }) => headers["if-none-match"]), [undefined, '"a"']);
  assert.equal(reads[0].headers.authorization, "Bearer k");
  await end();
});

test("a call is refused once the answer is known, and none waits for it", async () => {
  const { llm, call, reads, sent, end } = await setUp(() => ({ body: spent(), delay: 300 }));
  const began = Date.now();
  await call();
  assert.ok(Date.now() - began < 250);
  for (const until = Date.now() + 5000; !llm.recorder.serverBudgets.known && Date.now() < until; ) await sleep(10);
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof BudgetExceededError);
    assert.match(error.message, /"Everything" of LLMLab is spent \(50\.25 of 50 USD\) until/);
    assert.deepEqual([error.budgetName, error.limitUsd, error.spentUsd], ["Everything", "50", "50.25"]);
    return true;
  });
  assert.throws(() => llm.generation("own", () => 1), BudgetExceededError);
  await assert.rejects(llm.fetch("http://127.0.0.1:9/v1/chat/completions", { method: "POST", body: "{}" }), BudgetExceededError);
  assert.deepEqual([sent(), reads.length], [1, 1]);
  await end();
});

test("only calls that count are refused", async () => {
  const user = await setUp(() => ({ body: spent({ scope: "user", value: "ada", counts_every_call: false }) }));
  await user.llm.budgets();
  await user.call();
  await user.llm.trace("work", { user: "ada" }, () => assert.rejects(user.call, BudgetExceededError));
  await user.llm.trace("work", { user: "bob" }, () => user.call());
  await user.end();
  const model = await setUp(() => ({ body: spent({ scope: "model", value: "dear", counts_every_call: false }) }));
  await model.llm.budgets();
  await model.call("cheap");
  await assert.rejects(() => model.call("dear"), BudgetExceededError);
  assert.throws(() => model.llm.generation("own", { model: "dear" }, () => 1), BudgetExceededError);
  await model.end();
});

test("the program goes on when the server refuses, talks nonsense or is away", async () => {
  for (const reading of [
    { status: 403, body: { detail: "This API key lacks the scope read." } },
    { body: "<html>" },
    { body: {} },
    { body: { results: [{ resets_at: "soon" }] } },
    { body: spent({ resets_at: "2020-01-01T00:00:00Z" }) },
    { body: spent({ is_hard: false }) },
  ]) {
    const { llm, call, told, end } = await setUp(() => reading);
    await llm.budgets();
    await llm.budgets();
    await call();
    if (reading.status) assert.equal(told.said.filter((text) => text.includes("lacks the scope read")).length, 1);
    await end();
  }
  const away = new LLMLab({ apiKey: "k", project: "p", baseUrl: "http://127.0.0.1:9", serverBudgets: true, logger: listener().logger });
  assert.equal(await away.budgets(), undefined);
  assert.equal(away.generation("own", () => 1), 1);
  await away.shutdown(0.1);
});

test("without the setting nobody is asked", async () => {
  const { call, reads, end } = await setUp(() => ({ body: spent() }), { serverBudgets: false });
  await call();
  await end();
  assert.equal(reads.length, 0);
});
