// What users install: both module systems, types, and a browser entry without Node and without secrets.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import * as esm from "llmlab";
import { LLMLab as BrowserLLMLab, TestExporter, trace } from "llmlab/browser";
import { listener, startServer } from "./support/server.mjs";

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));

test("import and require give the same names", () => {
  const cjs = require("llmlab");
  assert.deepEqual(Object.keys(cjs).filter((name) => name !== "__esModule").sort(), Object.keys(esm).sort());
  assert.equal(cjs.VERSION, JSON.parse(readFileSync(join(root, "package.json"))).version);
});

test("steps of one copy are parents for the other", async () => {
  const cjs = require("llmlab");
  const exporter = new esm.TestExporter();
  const llm = new cjs.LLMLab({ exporter });
  esm.trace("outer", () => cjs.span("inner", () => 1));
  await llm.flush();
  const [outer, inner] = exporter.steps;
  assert.equal(inner.parent_id, outer.id);
});

test("the types hold for users' programs", () => {
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  for (const config of ["tsconfig.json", "tsconfig.lib.json"]) {
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", join(root, "tests", config)], { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  }
});

test("the browser entry needs nothing of Node", () => {
  const seen = new Set();
  const visit = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, "utf8");
    for (const [, from] of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      assert.ok(from.startsWith("."), `${file} imports ${from}`);
      visit(join(dirname(file), from));
    }
    assert.ok(!/\b(process|Buffer|require)\b\s*[.(]/.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")), `${file} uses a global of Node`);
  };
  visit(join(root, "dist", "esm", "browser.js"));
  assert.ok(seen.size > 20);
  assert.ok(![...seen].some((file) => /node|modules\.js/.test(file.slice(root.length + 5))));
});

test("in a browser steps go to one's own backend, without a key", async () => {
  const server = await startServer(() => ({ status: 204, body: "" }));
  const { said, logger } = listener();
  const llm = new BrowserLLMLab({ endpoint: `${server.url}/llm`, logger, liveInterval: 0 });
  await trace("click", { input: "i" }, async () => llm.span("inner", () => 1));
  llm.score({ name: "thumbs", value: true, traceId: "t" });
  assert.equal(await llm.flush(), true);
  assert.deepEqual(server.requests.map(({ path }) => path).sort(), ["/llm", "/llm?kind=scores"]);
  assert.ok(server.requests.every(({ headers }) => headers.authorization === undefined));
  const [item] = server.requests.find(({ body }) => body.traces).body.traces;
  const named = Object.fromEntries(item.steps.map((step) => [step.name, step]));
  assert.equal(named.inner.parent_id, named.click.id);
  assert.deepEqual(said, []);
  await llm.shutdown();
  await server.stop();
});

test("a key in a browser is refused, loudly and once", () => {
  const warn = console.warn;
  const said = [];
  console.warn = (text) => said.push(text);
  try {
    for (let n = 0; n < 2; n++) {
      const llm = new BrowserLLMLab({ apiKey: "llmlab_sk_secret", endpoint: "/llm" });
      assert.equal(llm.isOn, false);
      assert.equal(llm.settings.apiKey, "");
    }
  } finally {
    console.warn = warn;
  }
  assert.equal(said.length, 1);
  assert.match(said[0], /everybody can read it/);
  assert.ok(!said[0].includes("secret"));
});

test("the browser's stack keeps parents for work that follows itself", async () => {
  const exporter = new TestExporter();
  const llm = new BrowserLLMLab({ exporter });
  await llm.trace("a", async () => {
    await Promise.resolve();
    llm.span("b", () => llm.span("c", () => 1));
  });
  assert.throws(() => llm.trace("e", () => { throw new Error("x"); }));
  llm.span("d", () => 1);
  await llm.flush();
  const named = Object.fromEntries(exporter.steps.map((step) => [step.name, step]));
  assert.deepEqual([named.b.parent_id, named.c.parent_id, named.d.parent_id], [named.a.id, named.b.id, undefined]);
});

test("a bundled client in a browser: wrap", async () => {
  const { default: OpenAI } = await import("openai");
  const exporter = new TestExporter();
  const llm = new BrowserLLMLab({ exporter });
  const answer = '{"id":"c","model":"m","choices":[{"message":{"role":"assistant","content":"x"}}]}';
  const client = llm.wrap(new OpenAI({ apiKey: "k", fetch: async () => new Response(answer, { headers: { "content-type": "application/json" } }) }));
  await client.chat.completions.create({ model: "m", messages: [] });
  await llm.flush();
  assert.equal(exporter.steps[0].name, "chat");
  await llm.instrument({ clients: [OpenAI] });
});
