/** Which addresses are calls to a model, known by the end of their path whatever the host or prefix. */

export type Shape = "chat" | "responses" | "embeddings" | "completions" | "messages" | "batches";

/** What an address stands for: `shape` says how its bodies are read. */
export interface Endpoint {
  shape: Shape;
  operation: string;
  provider: string;
  host: string;
  model: string;
  isStream: boolean;
}

const AZURE_HOSTS = [".openai.azure.com", ".cognitiveservices.azure.com"];
const DEPLOYMENT = /\/openai\/deployments\/([^/]+)\//;
const BEDROCK = /\/model\/([^/]+)\/(invoke|invoke-with-response-stream)$/;
const VERTEX = /\/models\/([^/:]+):(rawPredict|streamRawPredict)$/;
// Assistants keep their messages under this path; nothing is generated there.
const THREAD = /\/threads\/[^/]+\/messages$/;
const OPENAI: [string, Shape, string][] = [
  ["/chat/completions", "chat", "chat"],
  ["/responses", "responses", "chat"],
  ["/embeddings", "embeddings", "embeddings"],
  ["/completions", "completions", "text_completion"],
];

const KNOWN_MAX = 256;
const known = new Map<string, Endpoint | null>();

/** The endpoint behind an address; null for what is not recorded. Programs call few addresses, so answers are kept. */
export function endpointOf(method: string, url: string): Endpoint | null {
  if (method !== "POST" && method.toUpperCase() !== "POST") return null;
  let found = known.get(url);
  if (found === undefined) {
    found = lookUp(url);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(url, found);
  }
  return found;
}

function lookUp(url: string): Endpoint | null {
  let host: string;
  let path: string;
  try {
    const parts = new URL(url);
    host = parts.hostname.toLowerCase();
    path = parts.pathname.replace(/\/+$/, "");
  } catch {
    return null;
  }
  if (THREAD.test(path)) return null;
  const plain = { host, model: "", isStream: false };
  if (path.endsWith("/messages/batches")) {
    return { shape: "batches", operation: "messages.batches", provider: "anthropic", ...plain };
  }
  if (path.endsWith("/messages")) {
    return { shape: "messages", operation: "chat", provider: "anthropic", ...plain };
  }
  return openai(host, path) ?? hosted(host, path);
}

function openai(host: string, path: string): Endpoint | null {
  for (const [end, shape, operation] of OPENAI) {
    if (!path.endsWith(end)) continue;
    const deployment = DEPLOYMENT.exec(path);
    const isAzure = deployment !== null || AZURE_HOSTS.some((known) => host.endsWith(known));
    const model = deployment ? unquote(deployment[1]!) : "";
    return { shape, operation, provider: isAzure ? "azure" : "openai", host, model, isStream: false };
  }
  return null;
}

/** Anthropic's models at Amazon and Google, who put the model into the path. */
function hosted(host: string, path: string): Endpoint | null {
  for (const [pattern, provider] of [[BEDROCK, "aws.bedrock"], [VERTEX, "gcp.vertex_ai"]] as const) {
    const found = pattern.exec(path);
    if (!found) continue;
    const isStream = found[2]!.toLowerCase().includes("stream");
    return { shape: "messages", operation: "chat", provider, host, model: unquote(found[1]!), isStream };
  }
  return null;
}

function unquote(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
