// Keys: [data-shortcut="g d"] is clicked, [data-shortcut="/"] is focused, "?" opens the sheet, j/k walk [data-row-link]s.
// Never inside inputs or with a modifier; <body data-shortcuts="off"> switches them off.
let first = "";
let timer;

const typing = (element) => element.closest("input, textarea, select, [contenteditable]");
const target = (keys) => document.querySelector(`[data-shortcut="${CSS.escape(keys)}"]`);

function act(element) {
  if (element.matches("input, textarea, select")) {
    element.focus();
    element.select?.();
  } else {
    element.click();
  }
}

function walk(step) {
  const rows = [...document.querySelectorAll("[data-row-link]:not(dialog *)")];
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement);
  (rows[at + step] || (at < 0 ? rows[0] : rows[at])).focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.body.dataset.shortcuts === "off" || typing(event.target)) return;
  if (event.key === "Escape" && location.hash === "#menu") {
    location.hash = "#main";
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    event.preventDefault();
    document.querySelector("#shortcut-sheet")?.showModal();
    return;
  }
  const keys = first ? `${first} ${event.key}` : event.key;
  first = "";
  const element = target(keys);
  if (element) {
    event.preventDefault();
    act(element);
  } else if (event.key === "g") {
    first = "g";
    clearTimeout(timer);
    timer = setTimeout(() => { first = ""; }, 1200);
  } else if (event.key === "j" || event.key === "k") {
    if (walk(event.key === "j" ? 1 : -1)) event.preventDefault();
  }
});
