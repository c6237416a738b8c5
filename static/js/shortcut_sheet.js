// <shortcut-sheet>: writes where "g" leads from the sidebar's own links, so that the sheet names every key that works.
class ShortcutSheet extends HTMLElement {
  connectedCallback() {
    const list = this.querySelector("[data-keys-go]");
    for (const link of document.querySelectorAll('.side a[data-shortcut^="g "]')) {
      const keys = document.createElement("dt");
      for (const key of link.dataset.shortcut.split(" ")) {
        keys.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      }
      list.append(keys, Object.assign(document.createElement("dd"), { textContent: link.textContent.trim() }));
    }
  }
}

customElements.define("shortcut-sheet", ShortcutSheet);
