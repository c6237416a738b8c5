/** Version 7 of the AI SDK tells integrations what happens, instead of a tracer: the same spans made of its events. */

import { isObject, type Json, mapping } from "../capture/answer.js";
import type { Recorder } from "../core/recorder.js";
import type { Attributes } from "./attributes.js";
import { TelemetrySpan, type Tracer } from "./tracer.js";

interface Operation {
  id: string;
  root: TelemetrySpan;
  /** Open calls and tools by their own ids; a model's call has none. */
  open: Map<string, TelemetrySpan>;
}

const MODEL_CALL = "model";
const MAX_OPEN = 10_000;
const SETTINGS = ["maxOutputTokens", "temperature", "topP", "topK", "presencePenalty", "frequencyPenalty", "stopSequences", "seed", "maxRetries"];

export class Integration {
  private readonly operations = new Map<string, Operation>();

  constructor(
    private readonly recorder: Recorder,
    private readonly tracer: Tracer,
  ) {}

  // Version 6 knows integrations as well, but tells the tracer all of it: only newer ones say their version.
  readonly onStart = this.safely((event) => {
    if (parseInt(String(event.aiVersion ?? ""), 10) < 7 || !event.aiVersion || this.operations.size >= MAX_OPEN) return;
    const id = String(event.operationId ?? "ai");
    const messages = event.recordInputs === false ? undefined : event.messages ?? event.prompt ?? event.value ?? event.values;
    const root = this.tracer.startSpan(id, { attributes: { ...described(event, id), ...settings(event), ...(messages !== undefined && { "ai.value": messages }) } });
    this.operations.set(String(event.callId), { id, root, open: new Map() });
  });

  readonly onLanguageModelCallStart = this.safely((event) => {
    const id = this.operation(event)?.id;
    const attributes = described(event, `${id}.${id?.includes("stream") ? "doStream" : "doGenerate"}`);
    if (event.recordInputs !== false) {
      const system = event.instructions ?? event.system;
      attributes["ai.prompt.messages"] = [...(system ? [{ role: "system", content: system }] : []), ...(Array.isArray(event.messages) ? event.messages : [])];
      attributes["ai.prompt.tools"] = event.tools;
    }
    this.begin(event, MODEL_CALL, { ...attributes, ...settings(event) });
  });

  readonly onLanguageModelCallEnd = this.safely((event) => {
    const attributes: Attributes = { ...usage(event.usage), "ai.response.model": event.modelId, "ai.response.id": event.responseId, "ai.response.finishReason": event.finishReason };
    if (isObject(event.providerMetadata)) attributes["ai.response.providerMetadata"] = JSON.stringify(event.providerMetadata);
    if (this.operation(event)?.id.includes("stream")) attributes["ai.response.msToFirstChunk"] = mapping(event.performance).timeToFirstOutputMs;
    if (event.recordOutputs !== false) Object.assign(attributes, said(event.content));
    this.finish(event, MODEL_CALL, attributes);
  });

  readonly onToolExecutionStart = this.safely((event) => {
    const { toolCallId, toolName, input } = mapping(event.toolCall);
    const attributes = { ...described(event, "ai.toolCall"), "ai.toolCall.name": toolName, ...(event.recordInputs !== false && { "ai.toolCall.args": input }) };
    this.begin(event, String(toolCallId), attributes);
  });

  readonly onToolExecutionEnd = this.safely((event) => {
    const { toolCallId, output, error } = { ...mapping(event.toolCall), ...mapping(event.toolOutput) };
    this.finish(event, String(toolCallId), event.recordOutputs === false ? {} : { "ai.toolCall.result": output }, error);
  });

  readonly onEmbedStart = this.safely((event) => {
    this.begin(event, String(event.embedCallId), { ...described(event, String(event.operationId)), ...(event.recordInputs !== false && { "ai.values": event.values }) });
  });

  readonly onEmbedEnd = this.safely((event) => {
    this.finish(event, String(event.embedCallId), { "ai.usage.tokens": mapping(event.usage).tokens });
  });

  readonly onEnd = this.safely((event) => this.close(event, event.recordOutputs === false ? {} : said(event.content)));
  readonly onAbort = this.safely((event) => this.close(event, {}));
  readonly onStepError = this.safely((event) => this.close(event, {}, event.error ?? "failed"));
  readonly onError = this.safely((event) => this.close(event, {}, event.error ?? "failed"));

  /** The request itself: inside the call's step, so that it is no second one, and only if the budget allows it. */
  readonly executeLanguageModelCall = async (options: { callId: string; execute: () => PromiseLike<unknown> }): Promise<unknown> => {
    const budget = this.recorder.scope?.budget;
    if (budget) await this.recorder.admit(budget);
    this.recorder.refuseIfBlocked(() => undefined);
    return this.inside(options, MODEL_CALL);
  };

  readonly executeTool = (options: { callId: string; toolCallId: string; execute: () => PromiseLike<unknown> }): PromiseLike<unknown> => this.inside(options, options.toolCallId);

  private inside(options: { callId: string; execute: () => PromiseLike<unknown> }, key: string): PromiseLike<unknown> {
    const span = this.operation(options)?.open.get(key)?.step;
    return span ? this.recorder.platform.store.run({ ...this.recorder.scope, span }, () => options.execute()) : options.execute();
  }

  private operation(event: { callId?: unknown }): Operation | undefined {
    return this.operations.get(String(event.callId));
  }

  private begin(event: Json, key: string, attributes: Attributes): void {
    const operation = this.operation(event);
    if (!operation) return;
    const { store } = this.recorder.platform;
    const name = String(attributes["ai.operationId"]);
    const span = store.run({ ...this.recorder.scope, span: operation.root.step }, () => this.tracer.startSpan(name, { attributes }));
    operation.open.set(key, span);
  }

  private finish(event: Json, key: string, attributes: Attributes, error?: unknown): void {
    const operation = this.operation(event);
    const span = operation?.open.get(key);
    operation?.open.delete(key);
    if (error !== undefined) span?.recordException(error);
    span?.setAttributes(attributes).end();
  }

  /** Ends an operation and what it left open. */
  private close(event: Json, attributes: Attributes, error?: unknown): void {
    const operation = this.operation(event);
    if (!operation) return;
    this.operations.delete(String(event.callId));
    for (const span of [...operation.open.values(), operation.root.setAttributes(attributes)]) {
      if (error !== undefined) span.recordException(error);
      span.end();
    }
  }

  private safely(work: (event: Json) => void): (event: unknown) => void {
    return (event) => {
      try {
        work(mapping(event));
      } catch (error) {
        this.recorder.failed("read", error);
      }
    };
  }
}

function described(event: Json, operationId: string): Attributes {
  return { "ai.operationId": operationId, "ai.model.provider": event.provider, "ai.model.id": event.modelId, "ai.telemetry.functionId": event.functionId };
}

function settings(event: Json): Attributes {
  const found: Attributes = {};
  for (const name of SETTINGS) if (event[name] !== undefined && event[name] !== null) found[`ai.settings.${name}`] = event[name];
  return found;
}

function usage(given: unknown): Attributes {
  const counts: Attributes = {};
  for (const [name, value] of Object.entries(mapping(given))) {
    if (typeof value === "number") counts[`ai.usage.${name}`] = value;
    else if (name !== "raw") for (const [part, count] of Object.entries(mapping(value))) counts[`ai.usage.${name}.${part}`] = count;
  }
  return counts;
}

/** The texts, thoughts and tool calls of an answer's parts. */
function said(content: unknown): Attributes {
  const parts: Json[] = Array.isArray(content) ? content.filter(isObject) : [];
  const joined = (type: string): string | undefined => parts.filter((part) => part.type === type).map((part) => part.text).join("") || undefined;
  const calls = parts.filter((part) => part.type === "tool-call");
  return { "ai.response.text": joined("text"), "ai.response.reasoning": joined("reasoning"), ...(calls.length && { "ai.response.toolCalls": calls }) };
}
