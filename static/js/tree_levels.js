// Rows of a tree that stay flat siblings: how deep each stands, and what is hidden because something above it is folded.

export function levelOf(row) {
  return Number(row.getAttribute("aria-level") || row.dataset.level) || 1;
}

export function hideFolded(tree) {
  let foldedAt = 0;
  for (const row of tree.querySelectorAll("[role=treeitem], [data-level]")) {
    const level = levelOf(row);
    if (foldedAt && level > foldedAt) {
      if (!row.hidden) row.hidden = true;
      continue;
    }
    foldedAt = row.getAttribute("aria-expanded") === "false" ? level : 0;
    if (row.hidden && !row.dataset.filtered) row.hidden = false;
  }
}

// Everything above a row that is there but folded away.
export function openAbove(rows, row) {
  let level = levelOf(row);
  for (let at = rows.indexOf(row) - 1; at >= 0 && level > 1; at -= 1) {
    if (levelOf(rows[at]) >= level) continue;
    level = levelOf(rows[at]);
    if (!rows[at].dataset.lazy) rows[at].setAttribute("aria-expanded", "true");
  }
}

// All below the first level: folded when one of them is open, else opened.
export function foldAll(rows) {
  const inner = rows.filter((row) => row.hasAttribute("aria-expanded") && levelOf(row) > 1);
  const folded = inner.some((row) => row.getAttribute("aria-expanded") === "true");
  for (const row of inner) {
    if (!row.dataset.lazy) row.setAttribute("aria-expanded", String(!folded));
  }
}
