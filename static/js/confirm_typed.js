// <confirm-typed data-expected="name"> around an input: the form's submit button works only when the text matches.
class ConfirmTyped extends HTMLElement {
  connectedCallback() {
    const input = this.querySelector("input");
    const button = this.closest("form")?.querySelector("[type=submit]");
    if (!input || !button) return;
    const check = () => { button.disabled = input.value.trim() !== this.dataset.expected; };
    input.addEventListener("input", check);
    check();
  }
}

customElements.define("confirm-typed", ConfirmTyped);
