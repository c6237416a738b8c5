// The Vercel AI SDK with its telemetry switched on, OTLP over HTTP. Arguments and answer as in tests/clients/telling.py.
import { createOpenAI } from "@ai-sdk/openai";
import { context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { embed, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const [provider, collector, key, ...wanted] = process.argv.slice(2);
const exporter = new OTLPTraceExporter({
  url: `${collector}/v1/traces`,
  headers: { Authorization: `Bearer ${key}` },
});
const tracing = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "with-vercel", "service.version": "2.1" }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
tracing.register();

const openai = createOpenAI({ baseURL: `${provider}/v1`, apiKey: "sk-simulated" });
const question = "Where is my order 55180? It should have arrived on Monday.";
const system = "You answer customers of a shop. " + "Be exact, kind and short. ".repeat(300);
const telemetry = {
  isEnabled: true,
  functionId: "answer-customer",
  metadata: { userId: "user-7", sessionId: "session-3", tags: ["shop", "beta"], plan: "pro" },
};

const asked = (model, more = {}) => ({
  model: openai.chat(model),
  messages: [{ role: "user", content: question }],
  maxRetries: 0,
  experimental_telemetry: telemetry,
  ...more,
});

const told = (answer, text) => ({
  model: answer.response.modelId,
  usage: answer.response.body?.usage ?? null,
  text,
});

async function whole(model = "gpt-4o-mini", more = {}) {
  const answer = await generateText(asked(model, more));
  return told(answer, answer.text);
}

const lookup = tool({
  description: "Finds an order",
  inputSchema: jsonSchema({
    type: "object",
    properties: { order: { type: "string" } },
    required: ["order"],
  }),
  execute: async () => ({ status: "on its way" }),
});

const scenarios = {
  whole: () => whole(),
  stream: async () => {
    const answer = streamText(asked("gpt-4o-mini"));
    let text = "";
    for await (const piece of answer.textStream) text += piece;
    const usage = await answer.usage;
    return {
      model: (await answer.response).modelId,
      usage: {
        prompt_tokens: usage.inputTokens,
        completion_tokens: usage.outputTokens,
        prompt_tokens_details: { cached_tokens: usage.cachedInputTokens ?? 0 },
      },
      text,
    };
  },
  // Two calls and a tool between them: the outer span's totals stand for both.
  tool: () => whole("gpt-4o-mini", { tools: { lookup_order: lookup }, stopWhen: stepCountIs(2) }),
  reasoning: () => whole("gpt-5-mini"),
  cached: () => whole("gpt-4o-mini", { system }),
  unknown: () => whole("acme-llama-70b"),
  embedding: async () => {
    const answer = await embed({
      model: openai.embedding("text-embedding-3-small"),
      value: question,
      experimental_telemetry: telemetry,
    });
    return { model: "text-embedding-3-small", tokens: answer.usage.tokens };
  },
  refused: async () => {
    try {
      await whole("gpt-4o-mini+not_found");
    } catch (error) {
      return { error: String(error) };
    }
    throw new Error("the simulator should have refused");
  },
};

const results = {};
for (const name of wanted.length ? wanted : Object.keys(scenarios)) {
  const span = trace.getTracer("program").startSpan(name);
  results[name] = await context.with(trace.setSpan(context.active(), span), scenarios[name]);
  results[name].trace_id = span.spanContext().traceId;
  span.end();
}
await tracing.shutdown();
process.stdout.write(`\n${JSON.stringify(results)}\n`);
