// <command-palette>: ⌘K or Ctrl+K opens its dialog from anywhere; the pages it offers are the sidebar's own links, and
// [data-palette-click] presses the control of the page it names.
class CommandPalette extends HTMLElement {
  connectedCallback() {
    this.dialog = this.closest("dialog");
    this.input = this.querySelector("[data-filter-input]");
    this.fill(this.querySelector("[data-palette-pages]"));
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.addEventListener("click", (event) => this.press(event.target.closest("[data-palette-click]")));
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onKey);
  }

  key(event) {
    if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (this.dialog.open) {
      this.dialog.close();
      return;
    }
    for (const other of document.querySelectorAll("dialog[open]")) other.close();
    this.dialog.showModal();
    this.input.select();
  }

  fill(section) {
    for (const link of document.querySelectorAll(".side nav a.nav-a[href]")) {
      const row = document.createElement("a");
      row.className = "menu-item";
      row.href = link.href;
      const name = link.textContent.trim();
      row.dataset.filterText = name;
      const sign = link.querySelector("svg");
      if (sign) row.append(sign.cloneNode(true));
      row.append(name);
      if (link.dataset.shortcut) row.append(this.keys(link.dataset.shortcut));
      section.append(row);
    }
  }

  keys(shortcut) {
    const end = document.createElement("span");
    end.className = "end xs muted";
    end.textContent = shortcut.toUpperCase();
    return end;
  }

  press(button) {
    if (!button) return;
    this.dialog.close();
    document.querySelector(button.dataset.paletteClick)?.click();
  }
}

customElements.define("command-palette", CommandPalette);
