// <pop-menu> around a <details>: closes on a click elsewhere, on Escape and when the focus leaves.
class PopMenu extends HTMLElement {
  connectedCallback() {
    this.outside = (event) => { if (!this.contains(event.target)) this.close(); };
    document.addEventListener("click", this.outside);
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.details?.open) return;
      event.stopPropagation();
      this.close();
      this.querySelector("summary")?.focus();
    });
    this.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.contains(event.relatedTarget)) this.close();
    });
    this.addEventListener("click", (event) => {
      if (event.target.closest("[data-dialog-open], [data-menu-close]")) this.close();
    });
  }

  disconnectedCallback() {
    document.removeEventListener("click", this.outside);
  }

  get details() {
    return this.querySelector(":scope > details");
  }

  close() {
    if (this.details?.open) this.details.open = false;
  }
}

customElements.define("pop-menu", PopMenu);
