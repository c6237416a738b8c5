// A panel (data-panel) whose request failed says so in its own place and offers Retry; the rest of the page goes on.
// What the panel showed before stays below the message: an old figure with a warning beats no figure.
import { icon } from "./icon.js";

const UNREACHABLE = "The server cannot be reached.";

function reason(xhr) {
  if (!xhr?.status) return UNREACHABLE;
  if ((xhr.getResponseHeader("Content-Type") || "").includes("json")) {
    try {
      return JSON.parse(xhr.responseText).detail || "";
    } catch {
      return "";
    }
  }
  return xhr.status >= 500 ? "The server had an error." : "";
}

export function panelOf(event) {
  return event.detail.requestConfig?.verb === "get" ? event.detail.target?.closest?.("[data-panel]") : null;
}

function show(event) {
  const panel = panelOf(event);
  if (!panel) return;
  const { requestConfig, pathInfo, xhr } = event.detail;
  const path = pathInfo?.finalRequestPath || requestConfig.path;
  const box = document.createElement("div");
  box.className = "panel-error";
  box.setAttribute("role", "alert");
  const words = document.createElement("span");
  words.className = "grow";
  words.textContent = `This panel could not be loaded. ${reason(xhr)}`.trim();
  const retry = Object.assign(document.createElement("button"), { type: "button", className: "btn small" });
  retry.append(icon("refresh-cw"), "Retry");
  retry.addEventListener("click", () => window.htmx.ajax("GET", path, { source: panel, target: panel, swap: "outerHTML" }));
  box.append(icon("circle-alert"), words, retry);
  panel.querySelector(":scope > .skel-stack")?.remove();
  panel.querySelector(":scope > .panel-error")?.remove();
  panel.prepend(box);
}

for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, show);
