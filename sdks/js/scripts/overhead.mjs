// What recording costs a call: `node scripts/overhead.mjs SIMULATOR_URL [CALLS]` prints one line of JSON.
// A bare and a recorded client take turns, so that both meet the same machine; medians, in microseconds.
// `in_process` leaves the network out (a fetch that answers at once), where the machine's noise is smallest.
import { createServer } from "node:http";
import OpenAI from "openai";
import { LLMLab } from "llmlab";

const [url, calls = "2000"] = process.argv.slice(2);
const asked = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Where is my refund? ".repeat(10) }] };
const answer = JSON.stringify({
  id: "c",
  object: "chat.completion",
  model: "gpt-4o-mini",
  choices: [{ index: 0, message: { role: "assistant", content: "x".repeat(400) }, finish_reason: "stop" }],
  usage: { prompt_tokens: 5, completion_tokens: 100, total_tokens: 105 },
});
const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];
const rounded = (value) => Math.round(value * 10) / 10;

const sink = createServer((request, response) => request.resume().on("end", () => response.writeHead(207, { "content-type": "application/json" }).end('{"results":[]}')));
await new Promise((resolve) => sink.listen(0, "127.0.0.1", resolve));
const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl: `http://127.0.0.1:${sink.address().port}` });

async function timed(client) {
  const started = performance.now();
  await client.chat.completions.create(asked);
  return (performance.now() - started) * 1000;
}

async function compared(options) {
  const bare = new OpenAI({ apiKey: "k", ...options });
  const recorded = llm.wrap(new OpenAI({ apiKey: "k", ...options }));
  const times = { bare: [], recorded: [], difference: [] };
  for (let n = 0; n < 300; n++) await timed(n % 2 ? bare : recorded);
  for (let n = 0; n < Number(calls); n++) {
    const pair = n % 2 ? [await timed(bare), await timed(recorded)] : [await timed(recorded), await timed(bare)].reverse();
    times.bare.push(pair[0]);
    times.recorded.push(pair[1]);
    times.difference.push(pair[1] - pair[0]);
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [`${name}_us`, rounded(median(values))]));
}

const fake = async () => new Response(answer, { headers: { "content-type": "application/json" } });
const result = { in_process: await compared({ fetch: fake }), ...(url && { simulator: await compared({ baseURL: `${url}/v1` }) }) };
console.log(JSON.stringify(result));
await llm.shutdown();
sink.close();
