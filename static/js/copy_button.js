// <copy-button data-value="…"> or data-source="#id" around a <button>: copies, says so for two seconds.
import { announce } from "./announce.js";

class CopyButton extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", () => this.copy());
  }

  async copy() {
    const source = this.dataset.source && document.querySelector(this.dataset.source);
    const text = source ? (source.value ?? source.textContent) : this.dataset.value;
    const label = this.querySelector("[data-copy-text]");
    const before = this.before ?? (this.before = label?.textContent);
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(text ?? "");
    } catch {
      done = this.fallback(text ?? "") ? "Copied" : "Press Ctrl+C to copy";
    }
    announce(done);
    if (!label) return;
    label.textContent = done;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { label.textContent = before; }, 2000);
  }

  // Plain HTTP has no clipboard API: select the text and use the old command.
  fallback(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const ok = document.execCommand("copy");
    area.remove();
    return ok;
  }
}

customElements.define("copy-button", CopyButton);
