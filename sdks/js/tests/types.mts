// Compiled, never run: what users write must type-check without a cast.
import { generateText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import OpenAI from "openai";
import { BudgetExceededError, LLMLab, type Span, TestExporter, trace } from "llmlab";
import { LLMLab as Browser } from "llmlab/browser";

const llm = new LLMLab({ project: "p", mask: ["email", (text) => text.trim()], exporter: new TestExporter() });
const names: string[] = await llm.instrument();
const client: OpenAI = llm.wrap(new OpenAI());
const text: string = llm.trace("a", { tags: ["x"], user: "u", model: "m" }, (span: Span) => span.traceId);
const later: Promise<number> = trace("b", async () => 1);
const double: (n: number) => Promise<number> = llm.traced("double", async (n: number) => n * 2);
const parts: AsyncGenerator<string> = llm.span("c", async function* () {
  yield "x";
});
const headers: Record<string, string> = llm.inject({} as Record<string, string>);
const sent: boolean = await llm.flush(1);
const spent: string = await llm.budget({ usd: "0.5", onUnknown: "block" }, async (budget) => budget.spentUsd);
await generateText({ model: createOpenAI({ fetch: llm.fetch })("gpt-4o-mini"), prompt: "x", experimental_telemetry: llm.aiTelemetry({ functionId: "f" }) });
llm.trace("d", { parent: llm.extract(new Request("http://x").headers) }, () => undefined);
new Browser({ endpoint: "/llm" });
// @ts-expect-error a browser takes no key
new Browser({ apiKey: "k" });
// @ts-expect-error no such type of step
llm.startSpan("e", { type: "nonsense" });
export { BudgetExceededError, client, double, headers, later, names, parts, sent, spent, text };
