// The cases of sdks/contract, which every SDK must give the same answers to.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync, inflateSync } from "node:zlib";
import { test } from "node:test";
import { maskOf } from "../dist/esm/core/masks.js";
import { formatTraceparent, isSampled, parseTraceparent } from "../dist/esm/core/ids.js";
import { clean } from "../dist/esm/core/values.js";
import { stepOf } from "../dist/esm/capture/step.js";

const contract = new URL("../../contract/", import.meta.url);
const load = (name) => JSON.parse(readFileSync(new URL(name, contract), "utf8"));

for (const { name, masks, text, expected } of load("masks.json").cases) {
  test(`mask: ${name}`, () => {
    const mask = maskOf(masks, assert.fail);
    assert.equal(mask(text), expected);
  });
}

for (const { trace_id, sampled } of load("sampling.json").cases) {
  test(`sampling of ${trace_id}`, () => {
    for (const [rate, decision] of Object.entries(sampled)) assert.equal(isSampled(trace_id, Number(rate)), decision, rate);
  });
}

for (const { name, header, expected } of load("traceparent.json").extract) {
  test(`extract: ${name}`, () => {
    const context = parseTraceparent(header);
    const shown = context && { trace_id: context.traceId, span_id: context.spanId, sampled: context.sampled };
    assert.deepEqual(shown, expected);
  });
}

test("inject", () => {
  for (const { trace_id, span_id, sampled, header } of load("traceparent.json").inject) {
    assert.equal(formatTraceparent({ traceId: trace_id, spanId: span_id, sampled }), header);
  }
});

function made({ integer, number, bytes, decimal, time, circular, twice, repeat, times }) {
  if (integer) return BigInt(integer);
  if (number) return Number(number);
  if (bytes !== undefined) return new Uint8Array(bytes);
  if (time) return new Date(time);
  if (twice) return [twice, twice];
  if (repeat) return repeat.repeat(times);
  if (circular === "list") {
    const list = [];
    list.push(list);
    return list;
  }
  if (circular === "object") {
    const object = {};
    object.self = object;
    return object;
  }
  return decimal; // JavaScript has none: the text stands for it
}

for (const { name, value, make, expected } of load("values.json").cases) {
  test(`value: ${name}`, () => {
    const sent = clean(make ? made(make) : value);
    const described = typeof expected === "object" ? expected : null;
    if (described?.text_or_number) assert.equal(String(sent), expected.text_or_number);
    else if (described?.starts_with) assert.ok(sent.startsWith(expected.starts_with));
    else if (described?.repeat) assert.equal(sent, expected.repeat.repeat(expected.times) + expected.then);
    else assert.deepEqual(JSON.parse(JSON.stringify(sent)), expected);
  });
}

// What fetch has decoded before anybody reads it.
function decoded(bytes, encoding) {
  if (encoding === "gzip") return gunzipSync(bytes);
  return encoding === "deflate" ? inflateSync(bytes) : bytes;
}

const whole = (bytes) => (bytes.length ? [[1000, new Uint8Array(bytes)]] : []);

/** One chunk per event, the nth n + 1 milliseconds after the call; comments come with the next. */
function events(text) {
  const chunks = [];
  let held = "";
  for (const part of text.split(/(?<=\r\n\r\n|\n\n|\r\r)/)) {
    held += part;
    if (!/^data:/m.test(part)) continue;
    chunks.push([1001 + chunks.length, held]);
    held = "";
  }
  if (held) chunks.push([1001 + chunks.length, held]);
  return chunks;
}

function callOf({ request, response }) {
  const bytes = response?.base64
    ? Buffer.from(response.base64, "base64")
    : Buffer.from(response?.sse ?? response?.text ?? (response?.body === undefined ? "" : JSON.stringify(response.body)));
  const headers = Object.fromEntries(Object.entries(response?.headers ?? {}).map(([key, value]) => [key.toLowerCase(), value]));
  const body = request.text ?? (request.body === null || request.body === undefined ? "" : JSON.stringify(request.body));
  return {
    method: request.method,
    url: request.url,
    requestBody: body,
    status: response?.status,
    contentType: headers["content-type"] ?? "",
    chunks: response?.sse === undefined ? whole(decoded(bytes, headers["content-encoding"])) : events(response.sse),
    sentAt: 1000,
    error: undefined,
    retries: 0,
  };
}

for (const file of readdirSync(new URL("calls/", contract)).filter((name) => name.endsWith(".json"))) {
  const fixture = load(`calls/${file}`);
  test(`call: ${fixture.name} (${file})`, () => {
    const step = stepOf(callOf(fixture));
    const told = step?.time_to_first_token_ms;
    if (step) delete step.time_to_first_token_ms;
    assert.deepEqual(step, fixture.step);
    const bytewise = callOf(fixture);
    bytewise.chunks = bytewise.chunks.flatMap(([at, data]) => [...(typeof data === "string" ? Buffer.from(data) : data)].map((byte) => [at, Uint8Array.of(byte)]));
    const again = stepOf(bytewise);
    if (again) delete again.time_to_first_token_ms;
    assert.deepEqual(again, fixture.step, "byte by byte");
    if (fixture.first_token !== undefined) assert.equal(told, fixture.first_token === null ? undefined : fixture.first_token + 1);
  });
}
