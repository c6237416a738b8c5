// <query-bar data-suggest="…">: offers below the search field (an ARIA combobox): keys first, then their values with
// counts. The server says what the text becomes; this only shows the list, moves through it and puts the text in.
// Without this file the field is an ordinary search field.
const WAIT = 120;

class QueryBar extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input");
    this.list = this.querySelector("[role=listbox]");
    if (!this.input || !this.list) return;
    this.input.addEventListener("input", () => this.soon());
    this.input.addEventListener("focus", () => this.soon());
    this.input.addEventListener("click", () => this.soon());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => this.left());
    this.input.form?.addEventListener("htmx:configRequest", (event) => this.sayWhere(event));
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const offer = event.target.closest("[role=option]");
      if (offer) this.take(offer);
    });
    this.settled = () => this.follow();
    document.body.addEventListener("traces-filtered", this.settled);
  }

  disconnectedCallback() {
    document.body.removeEventListener("traces-filtered", this.settled);
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  get offers() {
    return [...this.list.querySelectorAll("[role=option]")];
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), WAIT);
  }

  async ask() {
    this.asked?.abort();
    this.asked = new AbortController();
    const form = new FormData(this.input.form);
    form.set("at", String(this.input.selectionStart ?? this.input.value.length));
    try {
      const answer = await fetch(`${this.dataset.suggest}?${new URLSearchParams(form)}`, {
        signal: this.asked.signal,
        headers: { "HX-Request": "true" },
      });
      if (!answer.ok || document.activeElement !== this.input) return;
      this.list.innerHTML = await answer.text();
    } catch {
      return; // a newer question, or no connection: the field works without offers
    }
    this.choose(null);
    this.show(this.offers.length > 0);
  }

  show(isOpen) {
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) this.choose(null);
  }

  close() {
    clearTimeout(this.timer);
    this.show(false);
  }

  // The server warns of no part that is still being written; leaving the field ends it.
  sayWhere(event) {
    const { headers, triggeringEvent } = event.detail;
    if (triggeringEvent?.type !== "input" || document.activeElement !== this.input) return;
    const { value, selectionStart } = this.input;
    const margin = value.length - value.trimStart().length;
    headers["X-Typing-At"] = String(Math.max((selectionStart ?? value.length) - margin, 0));
  }

  left() {
    setTimeout(() => this.close(), 150);
    if (document.querySelector("#query-state[data-unfinished]")) this.input.form?.requestSubmit();
  }

  choose(offer) {
    for (const one of this.offers) one.setAttribute("aria-selected", String(one === offer));
    if (offer) {
      this.input.setAttribute("aria-activedescendant", offer.id);
      offer.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
    this.chosen = offer;
  }

  key(event) {
    const isOpen = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) return void this.ask();
      const offers = this.offers;
      const step = event.key === "ArrowDown" ? 1 : -1;
      const at = offers.indexOf(this.chosen);
      this.choose(offers[(at < 0 && step < 0 ? offers.length : at) + step] || offers[step > 0 ? 0 : offers.length - 1]);
    } else if ((event.key === "Enter" || event.key === "Tab") && isOpen && this.chosen) {
      event.preventDefault();
      this.take(this.chosen);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Enter") {
      this.close();
    }
    return undefined;
  }

  take(offer) {
    this.input.value = offer.dataset.text;
    const caret = Number(offer.dataset.caret);
    this.input.focus();
    this.input.setSelectionRange(caret, caret);
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // A facet or a chip changed the state: the bar says so, unless somebody is typing in it.
  follow() {
    const state = document.querySelector("#query-state");
    if (!state) return;
    const isTyped = "typed" in state.dataset;
    if (!isTyped) this.input.value = state.dataset.text;
    this.input.toggleAttribute("aria-invalid", Boolean(document.querySelector(".query-problem")));
    const csv = document.querySelector("#export-csv");
    if (csv) csv.href = state.dataset.csv;
  }
}

customElements.define("query-bar", QueryBar);
