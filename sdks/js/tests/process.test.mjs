// The ends of processes: natural, by signal, by kill -9; what the spool keeps is sent by the next one.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LLMLab } from "llmlab";
import { listener, startServer } from "./support/server.mjs";

const PROGRAM = fileURLToPath(new URL("support/program.mjs", import.meta.url));
const DEAD = "http://127.0.0.1:9";

function run(...given) {
  const child = spawn(process.execPath, [PROGRAM, ...given], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stderr.on("data", (data) => (text += data));
  const ready = new Promise((resolve) => child.stdout.once("data", resolve));
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal, said: text })));
  return { child, ready, ended };
}
const folder = () => mkdtempSync(join(tmpdir(), "llmlab-spool-"));
const names = (server) => server.steps().map((step) => step.name).sort();
const expected = (count) => Array.from({ length: count }, (_, n) => `t${n}`).sort();

test("a program that ends by itself has sent everything", async () => {
  const server = await startServer();
  const { code } = await run("end", server.url, "").ended;
  assert.equal(code, 0);
  assert.deepEqual(names(server), expected(10));
  await server.stop();
});

test("with the server away it still ends, in time, and says what is lost", async () => {
  const started = Date.now();
  const { code, said } = await run("end", DEAD, "").ended;
  assert.equal(code, 0);
  assert.ok(Date.now() - started < 9000);
  assert.match(said, /10 steps could not be sent before the program ended and are lost/);
});

test("SIGTERM: sends, then dies of the signal", async () => {
  const server = await startServer();
  const { child, ready, ended } = run("wait", server.url, "");
  await ready;
  child.kill("SIGTERM");
  assert.equal((await ended).signal, "SIGTERM");
  assert.deepEqual(names(server), expected(10));
  await server.stop();
});

test("SIGTERM that the program handles itself stays its own", async () => {
  const server = await startServer();
  const { child, ready, ended } = run("own", server.url, "");
  await ready;
  child.kill("SIGTERM");
  assert.equal((await ended).code, 7);
  assert.deepEqual(names(server), expected(10));
  await server.stop();
});

test("process.exit leaves no time to send: the spool keeps it", async () => {
  const server = await startServer();
  const spool = folder();
  assert.equal((await run("exit", server.url, spool).ended).code, 3);
  assert.equal(readdirSync(spool).length, 1);
  await run("end", server.url, spool, "0").ended;
  assert.deepEqual(names(server), expected(10));
  assert.deepEqual(readdirSync(spool), []);
  await server.stop();
});

test("kill -9: everything that was ended arrives, once, with the next start", async () => {
  const server = await startServer();
  const spool = folder();
  for (let round = 0; round < 3; round++) {
    const { child, ready, ended } = run("write", DEAD, spool, "200");
    await ready;
    child.kill("SIGKILL");
    await ended;
  }
  const { logger } = listener();
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: server.url, spoolDir: spool, logger });
  await sleep(50);
  assert.equal(await llm.flush(), true);
  const ids = server.steps().map((step) => step.id);
  assert.equal(ids.length, 600);
  assert.equal(new Set(ids).size, 600);
  assert.deepEqual(server.requests[0].body.traces[0].metadata, { n: 0 });
  assert.deepEqual(readdirSync(spool), []);
  await llm.shutdown();
  await server.stop();
});

test("a spool outlives an outage longer than memory", async () => {
  let isAway = true;
  const server = await startServer(() => (isAway ? { status: 503 } : undefined));
  const spool = folder();
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: server.url, spoolDir: spool, maxQueueBytes: 50_000, logger: listener().logger, flushInterval: 0.05 });
  for (let n = 0; n < 400; n++) {
    llm.trace(`t${n}`, { input: "x".repeat(500) }, () => n);
    if (n % 20 === 0) await sleep(5);
  }
  await sleep(50);
  assert.ok(llm.recorder.delivery.bytes <= 50_000 + 100_000);
  isAway = false;
  assert.equal(await llm.flush(20), true);
  assert.deepEqual(names(server), expected(400));
  assert.equal(llm.dropped, 0);
  assert.deepEqual(readdirSync(spool), []);
  await llm.shutdown();
  await server.stop();
});

test("files of living processes are left alone; half lines and other files are survived", async () => {
  const server = await startServer();
  const spool = folder();
  const item = (name) => JSON.stringify({ trace_id: "t", root_id: "r", name, status: "ok", steps: [{ id: name, name }] });
  writeFileSync(join(spool, `${process.ppid}-abc.jsonl`), `${item("alive")}\n`);
  writeFileSync(join(spool, "999999999-abc.jsonl"), `${item("dead")}\n{"trace_id": "ha`);
  writeFileSync(join(spool, "999999999-bad.jsonl"), "nonsense\n");
  writeFileSync(join(spool, "notes.txt"), "mine");
  // A container's new process has the number of the old one: only the time tells them apart.
  const twin = join(spool, `${process.pid}-old.jsonl`);
  writeFileSync(twin, `${item("twin")}\n`);
  utimesSync(twin, new Date(0), new Date(0));
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: server.url, spoolDir: spool, logger: listener().logger });
  await sleep(50);
  assert.equal(await llm.flush(), true);
  assert.deepEqual(names(server), ["dead", "twin"]);
  assert.deepEqual(readdirSync(spool).sort(), [`${process.ppid}-abc.jsonl`, "notes.txt"].sort());
  await llm.shutdown();
  await server.stop();
});

test("a spool that cannot be used is told once, and memory does", async () => {
  const server = await startServer();
  const { said, logger } = listener();
  const blocked = join(folder(), "file");
  writeFileSync(blocked, "");
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: server.url, spoolDir: join(blocked, "spool"), logger });
  llm.trace("t0", () => 1);
  assert.equal(await llm.flush(), true);
  assert.equal(said.length, 1);
  assert.match(said[0], /spoolDir .* cannot be used/);
  // Taken away while in use: what is in memory still goes.
  const spool = folder();
  const other = new LLMLab({ apiKey: "k", project: "p", baseUrl: server.url, spoolDir: spool, logger });
  other.trace("t1", () => 1);
  await sleep(20);
  rmSync(spool, { recursive: true });
  other.trace("t2", () => 1);
  assert.equal(await other.flush(), true);
  assert.deepEqual(names(server), ["t0", "t1", "t2"]);
  await Promise.all([llm.shutdown(), other.shutdown()]);
  await server.stop();
});

test("the spool is bounded, private, and holds masked text only", async () => {
  const parent = folder();
  const spool = join(parent, "deep", "spool");
  const { said, logger } = listener();
  const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: DEAD, spoolDir: spool, maxQueueBytes: 2048, mask: "email", logger });
  for (let n = 0; n < 60; n++) llm.trace("t", { input: "ada@example.com" + "x".repeat(400) }, () => 1);
  await sleep(50);
  const [name] = readdirSync(spool);
  const text = readFileSync(join(spool, name), "utf8");
  assert.ok(text.length <= 20_480);
  assert.ok(text.includes("[email]") && !text.includes("ada@"));
  assert.ok(said.some((line) => line.includes("is full")));
  await llm.shutdown(0.01);
  assert.ok(existsSync(join(spool, name)));
  mkdirSync(parent, { recursive: true });
});
