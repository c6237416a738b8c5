// A small program that the process tests start: argv tells what it does.
import { writeSync } from "node:fs";
import { LLMLab } from "llmlab";

const [what, baseUrl, spoolDir, count = "10"] = process.argv.slice(2);
const llm = new LLMLab({ apiKey: "k", project: "p", baseUrl, spoolDir, flushInterval: what === "write" ? 600 : 60, liveInterval: 0 });
for (let n = 0; n < Number(count); n++) llm.trace(`t${n}`, { metadata: { n } }, () => "done");
if (what === "write" || what === "wait" || what === "own") {
  setTimeout(() => writeSync(1, "ready\n"), 50);
  setInterval(() => undefined, 1000);
}
if (what === "own") process.on("SIGTERM", () => setTimeout(() => process.exit(7), 300));
if (what === "exit") process.exit(3);
