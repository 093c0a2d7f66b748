// Texts in the language of the page. A message is the English text; the file of another language,
// which comes after this one, sets the translations.
const MESSAGES = {};
const LANGUAGE = document.documentElement.lang || "en";
const IS_PSEUDO = document.cookie.includes("blemish-language=en-XA"); // English in brackets, for translators and tests
const IS_ENGLISH = LANGUAGE.startsWith("en");
const LOCALE = IS_ENGLISH ? "en-US" : LANGUAGE;
const NUMBERS = new Intl.NumberFormat(LOCALE);

const forms = (...messages) =>
  IS_PSEUDO ? messages.map((message) => `\u27e6${message}\u27e7`) : (MESSAGES[messages[0]] ?? messages);
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (braces, name) => values[name] ?? braces);

// a message in the language of the page; values are what it has in braces
function say(message, values = {}) {
  return filled(forms(message)[0], values);
}

// a message about a number of things, which it has as {count}
function counted(number, one, many, values = {}) {
  return filled(forms(one, many).at(number === 1 ? 0 : -1), { count: NUMBERS.format(number), ...values });
}

// a number with its digits in groups
function numberText(number, digits = 0) {
  return number.toLocaleString(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function setLanguage(code) {
  document.cookie = `blemish-language=${code}; path=/console; max-age=34560000; samesite=lax`;
  location.reload();
}
