// What people type between the press of a button and the focus of the field in its dialog: it goes into
// that field, as the dialog comes from the server a moment later.
(() => {
  const PATIENCE_MS = 2000;
  const FIELDS = "input, textarea, select, [contenteditable]";
  let [until, text] = [0, ""];

  addEventListener("click", (event) => {
    if (event.target.closest?.("button")) [until, text] = [Date.now() + PATIENCE_MS, ""];
  }, true);
  addEventListener("keydown", (event) => {
    if (Date.now() > until || event.target.closest?.(FIELDS)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Backspace") text = text.slice(0, -1);
    else if (event.key.length === 1 && event.key !== " ") text += event.key;
  }, true);
  addEventListener("focusin", (event) => {
    const field = event.target;
    if (!text || Date.now() > until || !field.closest(".q-dialog") || !field.matches("input, textarea")) return;
    field.value = text + field.value;
    [until, text] = [0, ""];
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
