"use strict";
// How many uncertain images wait for a review, beside each link that leads there.
(() => {
  const show = async () => {
    if (document.hidden) return;
    const answer = await fetch("/console/lines/waiting").catch(() => null);
    if (!answer || !answer.ok) return;
    const { waiting } = await answer.json();
    for (const mark of document.querySelectorAll("[data-waiting]")) {
      mark.textContent = waiting ? ` (${waiting})` : "";
      mark.title = waiting ? counted(waiting, "{count} uncertain image waits for a review", "{count} uncertain images wait for a review") : "";
    }
  };
  addEventListener("DOMContentLoaded", show);
  addEventListener("load", () => setTimeout(show, 500));
  setInterval(show, 20_000);
})();
