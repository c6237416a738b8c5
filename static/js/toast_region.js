// <toast-region id="toasts">: messages leave after 8 s (not while hovered or focused); errors stay until closed.
// Fed by the page, by hx-swap-oob="beforeend:#toasts", by HX-Trigger {"toast": {text, level, detail}} and by failed requests.
// What nobody asked for by hand says nothing here: panels show their own error, polls try again, the live badge tells.
import { icon } from "./icon.js";
import { panelOf } from "./panel_errors.js";

const STAY = 8000;

function isSilent(event) {
  const { requestConfig } = event.detail;
  return Boolean(panelOf(event)) || (requestConfig?.verb === "get" && !requestConfig.triggeringEvent?.isTrusted);
}

class ToastRegion extends HTMLElement {
  connectedCallback() {
    if (this.watcher) return;
    this.watcher = new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.addedNodes) this.start(node);
    });
    this.watcher.observe(this, { childList: true });
    for (const toast of this.children) this.start(toast);
    this.addEventListener("click", (e) => {
      if (e.target.closest("[data-toast-close]")) e.target.closest(".toast").remove();
    });
    // An answered Undo has done its work.
    this.addEventListener("htmx:afterRequest", (e) => e.target.closest(".toast")?.remove());
    document.body.addEventListener("toast", (e) => this.add(e.detail));
    document.body.addEventListener("htmx:responseError", (e) => { if (!isSilent(e)) this.failed(e.detail.xhr); });
    document.body.addEventListener("htmx:sendError", (e) => { if (!isSilent(e)) this.unreachable(e.detail.requestConfig); });
  }

  start(toast) {
    if (!(toast instanceof HTMLElement) || toast.classList.contains("bad")) return;
    const leave = () => {
      if (toast.matches(":hover, :focus-within")) toast.timer = setTimeout(leave, 1000);
      else toast.remove();
    };
    toast.timer = setTimeout(leave, STAY);
  }

  unreachable(request) {
    const text = `${request?.verb === "get" ? "Not loaded" : "Not saved"}: the server cannot be reached.`;
    this.add({ level: "error", text, detail: "Check the connection and try again." });
  }

  failed(xhr) {
    const wait = xhr.getResponseHeader("Retry-After");
    const text = {
      401: "You are signed out.",
      403: "You may not do that.",
      404: "This is no longer there.",
      409: "Someone else changed this meanwhile.",
      413: "That is too large.",
      429: `Too many requests. Try again in ${wait || "a few"} seconds.`,
    }[xhr.status] || (xhr.status >= 500 ? "Not done: the server had an error. Try again." : "The request was not accepted.");
    this.add({ level: "error", text, detail: this.detail(xhr) });
  }

  detail(xhr) {
    if (!(xhr.getResponseHeader("Content-Type") || "").includes("json")) return "";
    try {
      return JSON.parse(xhr.responseText).detail || "";
    } catch {
      return "";
    }
  }

  add({ text = "", level = "success", detail = "" }) {
    const [tone, glyph] = {
      error: ["bad", "circle-alert"], warning: ["warn", "triangle-alert"], info: ["info", "info"],
    }[level] || ["", "circle-check"];
    const toast = document.createElement("div");
    toast.className = `toast ${tone}`;
    toast.setAttribute("role", level === "error" ? "alert" : "status");
    const words = Object.assign(document.createElement("span"), { className: "t", textContent: text });
    if (detail) words.append(Object.assign(document.createElement("small"), { textContent: detail }));
    const close = Object.assign(document.createElement("button"), { type: "button", className: "btn ghost icon" });
    close.dataset.toastClose = "";
    close.setAttribute("aria-label", "Close message");
    close.append(icon("x"));
    toast.append(icon(glyph), words, close);
    this.append(toast);
  }
}

customElements.define("toast-region", ToastRegion);
