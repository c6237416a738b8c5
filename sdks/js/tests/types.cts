// The same for CommonJS.
import { LLMLab, TestExporter } from "llmlab";

const llm: LLMLab = new LLMLab({ exporter: new TestExporter() });
const number: number = llm.span("a", () => 1);
export = number;
