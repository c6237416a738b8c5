// Starts examples/simulator, the provider that speaks OpenAI and Anthropic, in its own process.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const PYTHON = [process.env.LLMLAB_PYTHON, `${ROOT}.venv/bin/python`].find((path) => path && existsSync(path)) ?? "python3";

export async function startSimulator(pace = "0") {
  const child = spawn(PYTHON, ["-m", "examples.simulator", "--port", "0", "--pace", pace], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PYTHONUNBUFFERED: "1" },
  });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(String(data)));
    child.once("exit", (code) => reject(new Error(`the simulator did not start (exit ${code})`)));
  });
  const url = line.trim().split(" ").pop();
  return {
    url,
    stop: () => new Promise((resolve) => (child.once("exit", resolve), child.kill())),
    received: async () => (await (await fetch(`${url}/simulator/requests`)).json()).requests,
  };
}
