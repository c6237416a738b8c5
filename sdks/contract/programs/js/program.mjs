// The contract's program in JavaScript; what it does is said in ../README.md.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

// Modules are looked up from the SDK's own directory.
const require = createRequire(new URL("../../../js/package.json", import.meta.url));
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");
const { LLMLab, score, span, trace } = require("./dist/cjs/index.js");

const PROVIDER = process.env.PROVIDER_URL;
const BLOCK = 50;

class PaymentError extends Error {
  name = "PaymentError";
}

const chatClient = () => new OpenAI({ baseURL: `${PROVIDER}/v1`, apiKey: "sk-simulated", maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const ask = (client, said, model = "gpt-5-mini") => client.chat.completions.create({ model, messages: user(said) });

async function drained(stream) {
  for await (const _ of stream);
}

async function story(llm) {
  const chat = chatClient();
  const claude = new Anthropic({ baseURL: PROVIDER, apiKey: "sk-ant-simulated", maxRetries: 0 });
  const facts = { user: "u-42", session: "s-7", tags: ["contract", "story"], metadata: { plan: "pro", attempt: 2 } };
  let traceId;
  await trace("refund", facts, async (refund) => {
    traceId = refund.traceId;
    await span("lookup", { type: "retrieval", input: { query: "Where is my refund?" } }, async () => [{ id: "d1", score: 0.75 }]);
    const shop = [{ role: "system", content: "You answer for a shop." }, ...user("Where is my refund?")];
    await chat.chat.completions.create({ model: "gpt-5-mini", temperature: 0.2, messages: shop });
    await drained(await chat.chat.completions.create({ model: "gpt-4o-mini", messages: user("Write a short answer."), stream: true }));
    await drained(await claude.messages.create({ model: "claude-sonnet-4-5", max_tokens: 200, messages: user("Summarise the case."), stream: true }));
    await chat.responses.create({ model: "gpt-5-mini", input: "Name the next step." });
    await chat.embeddings.create({ model: "text-embedding-3-small", input: "refund policy", encoding_format: "float" });
    await span("charge", { type: "tool", input: { amount: "12.50" } }, async () => {
      throw new PaymentError("card declined");
    }).catch(() => {});
    await ask(chat, "Too long.", "gpt-5-mini+too_long").catch(() => {});
    score({ name: "helpful", value: 1, comment: "by hand" });
    return "done";
  });
  return { trace_id: traceId, flushed: await llm.flush(30) };
}

async function calls(llm, number) {
  const client = chatClient();
  const name = process.env.CALLER ?? "js";
  let next = 0;
  const work = async () => {
    while (next < number) await ask(client, `Case ${next++} of ${name}`);
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return { calls: number, flushed: await llm.shutdown(60) };
}

async function overhead(llm, number) {
  const watched = chatClient();
  const bare = chatClient();
  llm.uninstrument?.();
  llm.wrap(watched);
  const times = { true: [], false: [] };
  for (let block = -2; block < (2 * number) / BLOCK; block++) {
    const isWatched = block % 2 === 0;
    const client = isWatched ? watched : bare;
    for (let i = 0; i < BLOCK; i++) {
      const started = process.hrtime.bigint();
      await ask(client, "Where is my refund?");
      if (block >= 0) times[isWatched].push(Number(process.hrtime.bigint() - started) / 1000);
    }
  }
  const [without, withIt] = [median(times.false), median(times.true)];
  return { bare_us: without, instrumented_us: withIt, overhead_us: withIt - without };
}

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function memory(llm, number) {
  const client = chatClient();
  let before = 0;
  let peak = 0;
  for (let n = 0; n < number; n++) {
    await ask(client, `Case ${n}`);
    if (n === 1000) before = residentMiB();
    if (n > 1000 && n % 500 === 0) peak = Math.max(peak, residentMiB());
  }
  const { dropped } = llm.stats();
  await llm.shutdown(1);
  return { before_mib: before, peak_mib: peak, dropped };
}

const residentMiB = () => (Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * 4096) / 2 ** 20;

async function serve(llm, port) {
  const client = chatClient();
  const server = createServer((request, response) => {
    llm.continued(request.headers, () => span("answer", () => ask(client, "Asked by another service.")))
      .then(() => llm.flush(10))
      .finally(() => response.end());
  });
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  console.log("ready");
  await new Promise(() => {});
}

async function askService(llm, url) {
  let traceId;
  await trace("ask", async (step) => {
    traceId = step.traceId;
    await fetch(url, { headers: llm.inject({}) }).then((answer) => answer.text());
  });
  await llm.flush(10);
  return { trace_id: traceId };
}

const llm = new LLMLab();
await llm.instrument({ clients: [OpenAI, Anthropic] });
const [command, argument] = process.argv.slice(2);
const commands = { story, calls, overhead, memory, serve, ask: askService };
const given = ["calls", "overhead", "memory"].includes(command) ? Number(argument) : argument;
console.log(JSON.stringify(await commands[command](llm, given)));
