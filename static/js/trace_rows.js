// The pieces of an open trace put where they belong: rows of the tree, and everything else by its id.
const KEPT = ["aria-selected", "aria-expanded", "tabindex"];

export function replacePiece(piece) {
  const old = document.getElementById(piece.id);
  if (!old) return;
  const inner = piece.getAttribute("hx-swap-oob") === "innerHTML";
  piece.removeAttribute("hx-swap-oob");
  if (inner) old.replaceChildren(...piece.childNodes);
  else old.replaceWith(piece);
  window.htmx.process(inner ? old : piece);
}

// Rows come in tree order; each names its parent and the sibling before it, so one pass puts every row where it
// belongs. What belongs into a part that is closed or not loaded yet comes with that part. False without a tree.
export function placeRows(rows) {
  const steps = document.getElementById("steps");
  if (!steps) return false;
  for (const row of rows) {
    row.removeAttribute("hx-swap-oob");
    const old = document.getElementById(row.id);
    const focused = old?.contains(document.activeElement);
    const spot = spotOf(row);
    if (!spot) {
      old?.remove();
      continue;
    }
    if (old) keep(old, row);
    else row.setAttribute("data-new", "");
    old?.remove();
    if (spot === steps) steps.prepend(row);
    else spot.after(row);
    window.htmx.process(row);
    if (focused) row.focus({ preventScroll: true });
  }
  return true;
}

// The element a row follows, the tree itself for its first row, null when its place is not drawn.
function spotOf(row) {
  const { parent, previous } = row.dataset;
  const above = parent ? document.getElementById(parent) : null;
  if (parent && (!above || above.dataset.lazy)) return null;
  if (!previous) return above || document.getElementById("steps");
  let last = document.getElementById(previous);
  if (!last) return null;
  const level = Number(row.getAttribute("aria-level"));
  const deeper = (one) => Number(one?.getAttribute("aria-level") || one?.dataset.level || 0) > level;
  while (last.nextElementSibling !== null && last.nextElementSibling.id !== row.id && deeper(last.nextElementSibling)) last = last.nextElementSibling;
  const next = last.nextElementSibling;
  const isBeforeGap = next?.dataset.level === String(level) || next?.id === "steps-more";
  return isBeforeGap && !document.getElementById(row.id) ? null : last;
}

function keep(old, row) {
  for (const name of KEPT) {
    if (name !== "aria-expanded" || row.hasAttribute(name)) row.setAttribute(name, old.getAttribute(name) ?? row.getAttribute(name));
  }
  if (old.dataset.lazy) row.dataset.lazy = old.dataset.lazy;
  if (old.classList.contains("hit")) row.classList.add("hit");
  row.classList.remove("new");
}
