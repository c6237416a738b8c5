// <theme-toggle><button>: flips light and dark. The server reads the cookie, so there is no flash on the next page.
import { announce } from "./announce.js";

class ThemeToggle extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", () => this.flip());
  }

  flip() {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? ";secure" : "";
    document.cookie = `theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax${secure}`;
    announce(dark ? "Light theme" : "Dark theme");
  }
}

customElements.define("theme-toggle", ThemeToggle);
