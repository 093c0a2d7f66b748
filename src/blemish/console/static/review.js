"use strict";
// The queue is in the server: this page only asks for the next image and sends answers. An answer
// counts once the server has it; until then the image stays, and is sent again.

const root = document.body.dataset.url;
const mayReview = document.body.dataset.mayReview === "true";
const byId = (id) => document.getElementById(id);
const AGAIN_MS = 2_000;
let image = null, last = null, isBusy = false, again = false;

function problem(text) {
  const item = document.createElement("li");
  item.textContent = text;
  byId("problems").replaceChildren(...(text ? [item] : []));
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(`${root}/${path}`, options);
  if (answer.status === 401) { location.href = "/console/sign-in"; return null; }
  const text = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(text.slice(0, 300)), { isRefusal: true });
  return text ? JSON.parse(text) : {};
}

async function persist(path, body) {  // through a restart of the server
  for (;;) {
    try {
      const answer = await ask(path, body);
      problem("");
      return answer;
    } catch (error) {
      if (error.isRefusal) { problem(error.message); return null; }
      problem(say("The server does not answer. The page tries again by itself."));
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function showLayer(id) {
  const layer = byId(id);
  layer.hidden = true;
  if (!image) return;
  const address = `${root}/images/${encodeURIComponent(image.id)}/${id}`;
  layer.onload = () => { layer.hidden = false; };
  layer.src = address;
}

const percent = (value) => `${(100 * value).toFixed(0)} %`;

function agreement(pair) {
  const item = document.createElement("li");
  const kappa = pair.kappa === null
    ? say("kappa {reason}", pair)
    : say("Cohen's kappa {value}", { value: numberText(pair.kappa, 2) });
  const agreed = say("{names}: the same on {same} of {images} ({share})", {
    ...pair, names: new Intl.ListFormat(LOCALE).format(pair.reviewers), share: percent(pair.same / pair.images),
  });
  item.textContent = `${agreed}; ${kappa}`;
  return item;
}

function show(state) {
  const isOther = (state.image && state.image.id) !== (image && image.id);
  image = state.image;
  document.body.dataset.image = image ? image.id : "";
  const rest = again ? say("Second look at images that others decided on") : counted(state.waiting, "{count} uncertain image waits", "{count} uncertain images wait");
  byId("waiting").textContent = image ? rest : say("{rest}. There is none for you now.", { rest });
  byId("caption").textContent = image
    ? `${new Date(image.time).toLocaleString(LANGUAGE === "en" ? [] : LOCALE)}  ${image.name}  ${again ? "" : say("The model says {verdict}, score {score}, limit {threshold}", { verdict: image.anomalous ? say("not OK") : say("OK"), score: numberText(image.score, 2), threshold: numberText(image.threshold, 2) })}`
    : say("No image");
  byId("photo").alt = image ? say("Image {name}", { name: image.name }) : "";
  if (isOther) { showLayer("photo"); showLayer("heat-map"); }
  for (const button of document.querySelectorAll("[data-answer], #paint")) button.disabled = !(image && mayReview);
  byId("back").disabled = !(last && mayReview);
  const disputed = state.disputed ? say(" {number} disputed: their reviewers contradict each other.", { number: state.disputed }) : "";
  byId("verified").textContent = counted(state.verified, "{count} verified image is in no data set yet.", "{count} verified images are in no data set yet.") + disputed;
  for (const button of document.querySelectorAll("[data-dataset]")) button.disabled = !(state.verified && mayReview);
  const pairs = state.agreements.map(agreement);
  if (!pairs.length) {
    const item = document.createElement("li");
    item.textContent = say("Not measurable: no two people decided on the same image.");
    pairs.push(item);
  }
  byId("agreements").replaceChildren(...pairs);
}

async function next() {
  const state = await persist(`reviews?again=${again}`);
  if (state) show(state);
}

async function act(work) {
  if (isBusy) return;
  isBusy = true;
  try { await work(); } finally { isBusy = false; }
}

const answerWith = (answer) => act(async () => {
  if (!image || !mayReview) return;
  const id = image.id;
  if (await persist("reviews", { id, answer })) last = id;
  await next();
});

const takeBack = () => act(async () => {
  if (!last) return;
  await persist("reviews", { id: last, answer: null });
  last = null;
  await next();
});

const paint = () => act(async () => {
  if (!image || !mayReview) return;
  const answer = await persist("reviews/paint", { id: image.id });
  if (answer) location.href = answer.url; else await next();
});

for (const button of document.querySelectorAll("[data-answer]"))
  button.addEventListener("click", () => answerWith(button.dataset.answer));
for (const button of document.querySelectorAll("[data-dataset]"))
  button.addEventListener("click", () => act(async () => {
    await persist("reviews/add", { dataset: button.dataset.dataset });
    await next();
  }));
byId("paint").addEventListener("click", paint);
byId("back").addEventListener("click", takeBack);
byId("again").addEventListener("click", () => act(async () => {
  again = !again;
  byId("again").setAttribute("aria-pressed", String(again));
  await next();
}));
byId("with-heat").addEventListener("change", (event) =>
  byId("image").classList.toggle("without-heat", !event.target.checked));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const answers = { 1: "ok", 2: "not-ok", 3: "unsure" };
  if (answers[event.key]) answerWith(answers[event.key]);
  else if (event.key.toLowerCase() === "p") paint();
  else if (event.key.toLowerCase() === "z") takeBack();
});
setInterval(() => { if (!isBusy && !image) act(next); }, 5_000);
addEventListener("focus", () => { if (!isBusy) act(next); });
act(next);
