// A local LLMLab for delivery tests: answers what it is told, remembers what it got.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

export async function startServer(answer = () => undefined, port = 0) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw).toString();
    const entry = { path: request.url, headers: request.headers, text, body: JSON.parse(text) };
    const { status = 207, body, headers = {}, delay = 0 } = (await answer(entry, requests.length)) ?? {};
    entry.status = status;
    requests.push(entry);
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
    const items = entry.body.traces ?? entry.body.scores ?? [];
    const results = items.map((item, index) => ({ index, trace_id: item.trace_id, status: 201, result: "stored", calls: 0, unpriced_calls: 0, cost_usd: null, rejected: [] }));
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body ?? { results }));
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    requests,
    accepted: () => requests.filter(({ status }) => status < 300),
    steps: () => requests.filter(({ status }) => status < 300).flatMap(({ body }) => (body.traces ?? []).flatMap((item) => item.steps)),
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

/** Collects what the SDK says. */
export function listener() {
  const said = [];
  return { said, logger: { warn: (text) => said.push(text) } };
}
