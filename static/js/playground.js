// <play-ground data-pass data-runs data-page>: runs the form's request on each column's model. Ctrl+Enter runs, Escape stops.
import { announce } from "./announce.js";
import { Column } from "./playground_column.js";
import { addMessage, fresh, goOn } from "./playground_messages.js";
import { Problems, linked, readRequest } from "./playground_request.js";
import { askPass } from "./playground_stream.js";

const MOST = 4;

class PlayGround extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("[data-request]");
    this.columns = new Map();
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.run(); });
    this.form.elements.format.addEventListener("change", () => this.showSchema());
    this.addEventListener("click", (event) => this.click(event));
    this.addEventListener("keydown", (event) => this.key(event));
    this.querySelector("[data-link]").addEventListener("click", (event) => this.link(event.currentTarget), true);
    this.tidy();
  }

  get all() {
    return [...this.querySelectorAll("[data-column]")].map((element) => {
      if (!this.columns.has(element)) this.columns.set(element, new Column(element, this));
      return this.columns.get(element);
    });
  }

  get running() {
    return this.all.filter((column) => column.isRunning);
  }

  get button() {
    return this.querySelector("[data-run]");
  }

  click(event) {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const row = button.closest("[data-message]");
    const column = this.all.find((one) => one.element.contains(button));
    const acts = {
      message: () => addMessage(this, "user").querySelector("textarea").focus(),
      up: () => { row.previousElementSibling?.before(row); button.focus(); },
      down: () => { row.nextElementSibling?.after(row); button.focus(); },
      remove: () => this.remove(row, this.querySelector('[data-do="message"]'), "Message removed"),
      compare: () => this.addColumn(),
      drop: () => { column.stop(); this.remove(column.element, this.querySelector('[data-do="compare"]'), "Column removed"); },
      stop: () => this.stop(),
      "stop-one": () => column.stop(),
      continue: () => goOn(this, column.answer.message),
    };
    acts[button.dataset.do]();
    this.tidy();
  }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.run();
    } else if (event.key === "Escape" && this.running.length) this.stop();
  }

  // --- the form

  addColumn() {
    if (this.all.length >= MOST) return;
    const element = fresh(this, "column");
    this.querySelector("[data-columns]").append(element);
    element.querySelector("[name=model]").focus();
  }

  remove(element, next, words) {
    element.remove();
    this.columns.delete(element);
    next.focus();
    announce(words);
  }

  showSchema() {
    this.querySelector("[data-schema]").hidden = this.form.elements.format.value !== "json_schema";
  }

  tidy() {
    const columns = this.all;
    for (const { element } of columns) element.querySelector('[data-do="drop"]').hidden = columns.length < 2;
    this.querySelector('[data-do="compare"]').disabled = columns.length >= MOST || this.button.disabled;
  }

  link(button) {
    const models = this.all.map(({ model }) => model.value.trim()).filter(Boolean);
    button.dataset.value = `${location.origin}${this.dataset.page}?${linked(this.form, models)}`;
  }

  // --- running

  async run() {
    if (this.button.disabled || this.running.length || this.isStarting) return;
    const problems = new Problems(this);
    const asked = readRequest(this.form, problems);
    for (const { model, element } of this.all) {
      if (!model.value.trim()) problems.add("model", "Choose a model or route.", model, element);
    }
    if (problems.count) return announce("Nothing was sent. Something is to be put right first.");
    this.isStarting = true;
    try {
      const pass = await askPass(this.dataset.pass, this.querySelector("[name=csrfmiddlewaretoken]").value);
      const runs = this.all.map((column) => column.run(pass, asked));
      this.showRunning(true);
      this.showAnswers();
      announce("Running");
      await Promise.all(runs);
      announce("All answers are here");
    } catch (error) {
      problems.add("request", error.message);
    } finally {
      this.isStarting = false;
      this.showRunning(false);
    }
  }

  stop() {
    for (const column of this.running) column.stop();
  }

  showRunning(isRunning) {
    const stop = this.querySelector('[data-do="stop"]');
    if (!isRunning && stop === document.activeElement) this.button.focus();
    stop.hidden = !isRunning;
    this.button.setAttribute("aria-disabled", String(isRunning));
  }

  // Below the request on narrow screens: the answers come into sight.
  showAnswers() {
    const columns = this.querySelector("[data-columns]");
    const { top } = columns.getBoundingClientRect();
    if (top > innerHeight * 0.8 || top < 0) columns.scrollIntoView({ block: "start" });
  }

  // A column's call is on the record: the list of runs asks again.
  ran() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => window.htmx.trigger(document.body, "pg-ran"), 300);
  }
}

customElements.define("play-ground", PlayGround);
