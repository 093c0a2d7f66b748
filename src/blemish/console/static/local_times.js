// Times as the clock of the person shows them; without this script they are those of UTC.
(() => {
  const clock = (timeStyle) => new Intl.DateTimeFormat(IS_ENGLISH ? "sv-SE" : LOCALE, { dateStyle: "short", timeStyle });
  const MINUTES = clock("short"), SECONDS = clock("medium");

  function show(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      time.title = time.textContent;
      time.textContent = ("seconds" in time.dataset ? SECONDS : MINUTES).format(new Date(time.dateTime));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    show(document);
    new MutationObserver(() => show(document)).observe(document.body, { childList: true, subtree: true });
  });
})();
