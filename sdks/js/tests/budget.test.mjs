// Budgets: what the server tells of costs decides over the next call, to the last digit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { BudgetExceededError, LLMLab, TestExporter } from "llmlab";
import { decimalOf, unitsOf } from "../dist/esm/core/decimal.js";
import { listener, startServer } from "./support/server.mjs";

/** Charges `price` for each model call of an item. */
const charging = (price) => ({ body }) => ({
  body: {
    results: (body.traces ?? []).map((item, index) => {
      const calls = item.steps.filter((step) => step.type === "llm" && step.status !== "running").length;
      const known = price !== null && calls > 0;
      return { index, status: 201, calls, unpriced_calls: known ? 0 : calls, cost_usd: known ? decimalOf(BigInt(calls) * unitsOf(price)) : null, rejected: [] };
    }),
  },
});
const answer = JSON.stringify({ id: "c", model: "m", choices: [{ message: { role: "assistant", content: "x" }, finish_reason: "stop" }], usage: { total_tokens: 2 } });

async function setUp(price, options = {}) {
  const server = await startServer(charging(price));
  let sent = 0;
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: server.url, logger: listener().logger, ...options });
  const client = llm.wrap(new OpenAI({ apiKey: "k", maxRetries: 0, fetch: async () => (sent++, new Response(answer, { headers: { "content-type": "application/json" } })) }));
  const call = () => client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "x" }] });
  const end = async () => {
    await llm.shutdown(0.5);
    await server.stop();
  };
  return { server, llm, call, sent: () => sent, end };
}

test("decimals are exact", () => {
  for (const text of ["0", "0.1", "0.000000000001", "12345678901234567890.5", "1000000"]) assert.equal(decimalOf(unitsOf(text)), text);
  assert.equal(decimalOf(unitsOf("0.1") + unitsOf("0.2")), "0.3");
  assert.equal(decimalOf(unitsOf(1e-7)), "0.0000001");
  assert.equal(decimalOf(unitsOf("1.5E+2")), "150");
  assert.equal(unitsOf("0.0000000000000000001"), 1n, "rounded up, never away");
  for (const bad of ["", "1,5", "abc", null, undefined, NaN, {}, "0x1"]) assert.equal(unitsOf(bad), undefined);
});

test("the call after the limit is not sent", async () => {
  const { llm, call, sent, end } = await setUp("0.1");
  const spent = await llm.budget({ usd: "0.3" }, async (budget) => {
    for (let n = 0; n < 3; n++) await call();
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof BudgetExceededError);
      assert.deepEqual([error.name, error.limitUsd, error.spentUsd], ["BudgetExceededError", "0.3", "0.3"]);
      return true;
    });
    assert.equal(budget.remainingUsd, "0");
    return budget.spentUsd;
  });
  assert.equal(spent, "0.3");
  assert.equal(sent(), 3);
  await call();
  assert.equal(sent(), 4, "outside the budget nothing holds");
  await end();
});

test("budgets nest, and calls beside them do not count", async () => {
  const { llm, call, sent, end } = await setUp("1");
  await llm.trace("agent", async () => {
    await call();
    await llm.budget({ usd: 3 }, async (outer) => {
      await llm.budget({ usd: 1 }, async () => {
        await call();
        await assert.rejects(call, BudgetExceededError);
      });
      await call();
      await llm.flush();
      assert.equal(outer.spentUsd, "2");
      await call();
      await assert.rejects(call, BudgetExceededError);
    });
  });
  assert.equal(sent(), 4);
  await end();
});

test("a limit of 0 allows nothing; a limit that is none is a mistake", async () => {
  const { llm, call, sent, end } = await setUp("1");
  await assert.rejects(llm.budget({ usd: 0 }, call), BudgetExceededError);
  assert.equal(sent(), 0);
  for (const usd of ["much", -1, NaN, undefined]) assert.throws(() => llm.budget({ usd }, () => 1), RangeError);
  await end();
});

test("unknown costs: allowed by default, blocked where asked", async () => {
  for (const price of [null]) {
    const { llm, call, end } = await setUp(price);
    await llm.budget({ usd: 1 }, async () => (await call(), await call()));
    await llm.budget({ usd: 1, onUnknown: "block" }, async () => {
      await call();
      await assert.rejects(call, /not known/);
    });
    await end();
  }
});

test("with LLMLab away a call waits at most two seconds, then follows onUnknown", async () => {
  const { llm, call, server, end } = await setUp("1");
  await server.stop();
  await llm.budget({ usd: 1 }, async () => {
    await call();
    const started = performance.now();
    await call();
    assert.ok(performance.now() - started < 2500);
  });
  await llm.budget({ usd: 1, onUnknown: "block" }, async () => {
    await call();
    await assert.rejects(call, BudgetExceededError);
  });
  await end();
});

test("a budget's calls are always sent, whatever the sample", async () => {
  const { llm, call, end } = await setUp("1", { sampleRate: 0 });
  await llm.budget({ usd: 1 }, async () => {
    await call();
    await assert.rejects(call, BudgetExceededError);
  });
  await end();
});

test("streams, llm.fetch and own generations obey too", async () => {
  const { llm, server, end } = await setUp("1");
  await llm.budget({ usd: 1 }, async () => {
    await llm.generation("own", { model: "m", usage: { input_tokens: 1 } }, async () => sleep(1));
    await llm.flush();
    assert.throws(() => llm.generation("own", () => 1), BudgetExceededError);
    await assert.rejects(llm.fetch(`${server.url}/v1/chat/completions`, { method: "POST", body: '{"model":"m","messages":[]}' }), BudgetExceededError);
  });
  await end();
});

test("without results (a test exporter) costs are unknown", async () => {
  const llm = new LLMLab({ exporter: new TestExporter() });
  await llm.budget({ usd: 1, onUnknown: "block" }, async () => {
    await llm.generation("g", async () => 1);
    await llm.flush();
    assert.throws(() => llm.generation("g", () => 1) && llm.recorder.scope.budget.check(true), BudgetExceededError);
  });
});
