// <browser-permission>: says whether this browser shows notifications of LLMLab, and asks for the permission when its
// button is pressed, never by itself.
const WORDS = {
  unsupported: "This browser shows no notifications, or only to pages with an https address.",
  default: "This browser has not been asked yet.",
  granted: "This browser shows them.",
  denied: "This browser refuses them. Allow notifications for this site in its settings, then reload.",
};

class BrowserPermission extends HTMLElement {
  connectedCallback() {
    this.querySelector("[data-ask]").addEventListener("click", () => this.ask());
    this.querySelector("[data-try]").addEventListener("click", () => this.show());
    this.write();
  }

  get state() {
    return "Notification" in window && window.isSecureContext ? Notification.permission : "unsupported";
  }

  async ask() {
    await Notification.requestPermission();
    this.write();
  }

  show() {
    try {
      new Notification("LLMLab shows alerts here", { body: "A click on an alert opens it.", tag: "llmlab-alert-test" });
    } catch {
      this.write("unsupported");
    }
  }

  write(state = this.state) {
    this.querySelector("[data-permission]").textContent = WORDS[state];
    this.querySelector("[data-ask]").hidden = state !== "default";
    this.querySelector("[data-try]").hidden = state !== "granted";
  }
}

customElements.define("browser-permission", BrowserPermission);
