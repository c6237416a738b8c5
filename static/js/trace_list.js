// Small behaviours of the trace list. <bulk-select> counts what is selected and keeps "x" for the row in focus;
// <column-order> moves columns without a request; the tail drops its oldest rows. All work as plain forms without it.
import { announce } from "./announce.js";

const TAIL_KEEPS = 300;

class BulkSelect extends HTMLElement {
  connectedCallback() {
    this.stop = new AbortController();
    const { signal } = this.stop;
    document.addEventListener("change", (event) => {
      if (event.target.matches('input[name="ids"], input[name="scope"]')) this.count();
    }, { signal });
    document.addEventListener("keydown", (event) => this.key(event), { signal });
    this.count();
  }

  disconnectedCallback() {
    this.stop?.abort();
  }

  key(event) {
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = document.activeElement?.closest?.("tr[data-trace]")?.querySelector('input[name="ids"]');
    if (!box || document.activeElement.matches("input") || document.body.dataset.shortcuts === "off") return;
    event.preventDefault();
    box.click();
  }

  count() {
    const chosen = document.querySelectorAll('input[name="ids"]:checked').length;
    const label = this.querySelector("[data-selected-count]");
    if (label) label.textContent = `${chosen} selected`;
    const compare = this.closest("form")?.querySelector("[data-needs]");
    if (compare) compare.disabled = chosen !== Number(compare.dataset.needs);
  }
}

class ColumnOrder extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button[name=move]");
      if (!button) return;
      event.preventDefault();
      const row = button.closest("li");
      const isUp = button.value.endsWith(":up");
      const other = isUp ? row.previousElementSibling : row.nextElementSibling;
      if (!other) return;
      if (isUp) other.before(row);
      else other.after(row);
      button.focus();
      announce(`${row.querySelector("label").textContent.trim()} is now ${[...row.parentElement.children].indexOf(row) + 1}.`);
    });
  }
}

customElements.define("bulk-select", BulkSelect);
customElements.define("column-order", ColumnOrder);

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "trace-rows") return;
  for (const row of [...event.target.children].slice(TAIL_KEEPS)) row.remove();
});

// Opened by the address: a form without JavaScript came back to it.
if (location.hash === "#columns") document.querySelector("#columns")?.showPopover?.();
