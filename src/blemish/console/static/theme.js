// Light, dark, or as the system has it: chosen in this browser, and known before anything is drawn.
const THEMES = ["auto", "light", "dark"];
const THEME_KEY = "blemish-theme";

function themeWanted() {
  const wanted = localStorage.getItem(THEME_KEY);
  return THEMES.includes(wanted) ? wanted : "auto";
}

function themeIsDark() {
  const wanted = themeWanted();
  return wanted === "dark" || (wanted === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
}

function showTheme() {
  document.documentElement.classList.toggle("dark", themeIsDark());
  if (window.Quasar) Quasar.Dark.set(themeIsDark());
  for (const button of document.querySelectorAll("[data-theme-button]")) {
    const name = { auto: say("auto"), light: say("light"), dark: say("dark") }[themeWanted()];
    button.setAttribute("aria-label", say("Theme: {name}. Press for the next.", { name }));
  }
}

function nextTheme() {
  localStorage.setItem(THEME_KEY, THEMES[(THEMES.indexOf(themeWanted()) + 1) % THEMES.length]);
  showTheme();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
showTheme();
