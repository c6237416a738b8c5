/** A fetch that records calls to models, for whatever takes one: libraries without a hook of their own, browsers, own code. */

import { endpointOf } from "../capture/endpoints.js";
import { objectOf } from "../capture/wire.js";
import type { Recorder } from "../core/recorder.js";
import { LogicalCall } from "./logical.js";
import { askingForUsage } from "./usage.js";

export function recordingFetch(recorder: Recorder, inner: typeof fetch = globalThis.fetch): typeof fetch {
  const plain = inner.bind(globalThis);
  const hosts = new Set<string>();
  return async (input, init) => {
    // Inside a model call that telemetry already tells of, its request is no second one.
    if (recorder.isPaused || recorder.current?.isCall) return plain(input, init);
    const scope = recorder.scope;
    if (recorder.isGuarded && isCall(input, init)) recorder.refuseIfBlocked(() => (typeof init?.body === "string" ? objectOf(init.body)?.model : undefined));
    if (scope?.budget && isCall(input, init)) await recorder.admit(scope.budget);
    const call = new LogicalCall(recorder, scope, true);
    return call.send(plain, input, asking(recorder, call, hosts, input, init));
  };
}

function isCall(input: unknown, init: RequestInit | undefined): boolean {
  return endpointOf(init?.method ?? "GET", String((input as { url?: string })?.url ?? input)) !== null;
}

function asking(recorder: Recorder, call: LogicalCall, hosts: Set<string>, input: unknown, init: RequestInit | undefined): RequestInit | undefined {
  const url = String((input as { url?: string })?.url ?? input);
  if (!recorder.settings.streamUsage || typeof init?.body !== "string" || endpointOf(init.method ?? "GET", url)?.shape !== "chat") return init;
  const host = new URL(url).host;
  const body = hosts.has(host) || !init.body.includes('"stream"') ? undefined : askingForUsage(objectOf(init.body));
  if (!body) return init;
  call.asksUsage = true;
  call.onRefusedOptions = () => hosts.add(host);
  return { ...init, body: JSON.stringify(body) };
}
