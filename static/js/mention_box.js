// <mention-box> around a textarea and a list of [data-handle] buttons: typing "@mi" offers the members that fit.
class MentionBox extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("textarea");
    this.list = this.querySelector(".mention-list");
    if (!this.input || !this.list) return;
    this.input.addEventListener("input", () => this.offer());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", (event) => { if (!this.list.contains(event.relatedTarget)) this.close(); });
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("[data-handle]");
      if (row) this.take(row);
    });
    this.list.addEventListener("keydown", (event) => this.key(event));
  }

  get typed() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    return before.match(/(?:^|\s)@([\w.%+-]*)$/);
  }

  get rows() {
    return [...this.list.querySelectorAll("[data-handle]:not([hidden])")];
  }

  offer() {
    const match = this.typed;
    if (!match) return this.close();
    const word = match[1].toLowerCase();
    let shown = 0;
    for (const row of this.list.querySelectorAll("[data-handle]")) {
      row.hidden = shown >= 8 || !row.textContent.toLowerCase().includes(word);
      if (!row.hidden) shown += 1;
    }
    this.list.hidden = !shown;
  }

  key(event) {
    if (this.list.hidden) return;
    const rows = this.rows;
    const at = rows.indexOf(document.activeElement);
    if (event.key === "Escape") {
      event.stopPropagation();
      this.close();
      this.input.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      (rows[at + (event.key === "ArrowDown" ? 1 : -1)] || this.input).focus();
    } else if ((event.key === "Enter" || event.key === "Tab") && at < 0) {
      event.preventDefault();
      this.take(rows[0]);
    }
  }

  take(row) {
    const { value, selectionStart: caret } = this.input;
    const start = value.slice(0, caret).lastIndexOf("@");
    const head = `${value.slice(0, start)}@${row.dataset.handle} `;
    this.input.value = head + value.slice(caret);
    this.close();
    this.input.focus();
    this.input.setSelectionRange(head.length, head.length);
  }

  close() {
    this.list.hidden = true;
  }
}

customElements.define("mention-box", MentionBox);
