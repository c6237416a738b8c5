/** What both entries give besides the client. */

export { Budget, BudgetExceededError, type BudgetOptions } from "./core/budget.js";
export type { RemoteContext } from "./core/ids.js";
export type { Mask, MaskFunction, MaskName } from "./core/masks.js";
export type { ScoreOptions } from "./core/scores.js";
export type { ServerBudget } from "./core/server_budgets.js";
export type { LLMLabOptions, Settings } from "./core/settings.js";
export { Span } from "./core/span.js";
export type { Logger } from "./core/tell.js";
export type { Exporter, ScoreItem, StepFields, StepType, TraceItem } from "./core/wire_types.js";
export type { AiTelemetry, HeadersLike, StepOptions, Work } from "./client.js";
export type { TelemetryOptions } from "./ai/tracer.js";
export { budget, currentTraceId, flush, generation, score, span, trace, updateCurrent } from "./default_client.js";
export { TestExporter } from "./testing.js";
export { VERSION } from "./version.js";
