// Native <dialog>s: [data-dialog-open="#id"] opens (a link keeps working without JavaScript), [data-dialog-close] and a
// click on the backdrop close, HX-Trigger "dialog:close" closes all, [data-dialog-start] opens with the page.
function open(dialog) {
  if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog-open]");
  if (opener && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    const dialog = document.querySelector(opener.dataset.dialogOpen);
    if (dialog) {
      event.preventDefault();
      open(dialog);
    }
    return;
  }
  if (event.target.closest("[data-dialog-close]")) {
    event.target.closest("dialog")?.close();
  } else if (event.target instanceof HTMLDialogElement) {
    const box = event.target.getBoundingClientRect();
    const outside = event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
    // Enter in a form also "clicks", at 0,0
    if (outside && event.detail > 0) event.target.close();
  }
});

document.addEventListener("dialog:close", () => {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
});

const start = (root) => root.querySelectorAll?.("dialog[data-dialog-start]").forEach(open);
start(document);
document.addEventListener("htmx:afterSettle", (event) => start(event.target));

// After a form came back with errors (422), the first wrong field takes the focus.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.xhr?.status === 422) event.target.querySelector?.("[aria-invalid=true]")?.focus();
});
