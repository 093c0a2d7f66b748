"use strict";
// Shows each state of the line that the socket sends. A page that gets none for a while says so:
// nobody may take an old verdict for the newest.

const SILENCE_MS = 12_000, ALIVE_MS = 4_000, AGAIN_MS = 1_000, THUMBNAIL_MS = 400, LAST_REFUSALS = [1008, 4403];
const root = document.body.dataset.url;
const byId = (id) => document.getElementById(id);
const TIMES = LANGUAGE === "en" ? [] : LOCALE; // English has no country: as the browser is set
const number = new Intl.NumberFormat(document.documentElement.lang);
const WORDS = { none: say("NO PART YET"), ok: say("OK"), "not-ok": say("NOT OK") };
const REPORTED = JSON.parse(document.body.dataset.reported).map(([message, translation]) => [
  new RegExp(`^${message.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, "(?<$1>.+?)")}$`, "s"), translation]);
let silence, alive, held = null, heldAt = 0, newest = "", state = null, audio = null, lost = "";

// a message that the line reports, in the language of the page
function reported(text) {
  const [pattern, translation] = REPORTED.find(([pattern]) => pattern.test(text)) ?? [];
  return pattern ? filled(translation, pattern.exec(text).groups ?? {}) : text;
}

function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

const clock = (verdict) => new Date(verdict.time).toLocaleTimeString(TIMES);
const kind = (verdict) => (!verdict ? "none" : verdict.is_anomalous ? "not-ok" : "ok");
const address = (verdict, layer) => `${root}/images/${encodeURIComponent(verdict.id)}/${layer}`;

function showVerdict(verdict) {
  const id = verdict ? verdict.id : "";
  if (document.body.dataset.shown === id) return;
  document.body.dataset.verdict = kind(verdict);
  document.body.dataset.judgedAt = verdict ? verdict.time : "";
  document.body.dataset.shown = id;
  setText("word", WORDS[kind(verdict)]);
  const areas = verdict ? verdict.anomalies.map((area) => area.name).join(", ") : "";
  const scores = verdict ? say("score {score}, limit {threshold}", { score: numberText(verdict.score, 2), threshold: numberText(verdict.threshold, 2) }) : "";
  setText("detail", [areas, scores].filter(Boolean).join(" · "));
  setText("caption", verdict ? `${clock(verdict)}  ${verdict.image_name}` : say("No image yet"));
  byId("photo").alt = verdict ? say("Image {name}", { name: verdict.image_name }) : "";
  showLayer("photo", verdict);
  showLayer("heat-map", verdict);
}

function showLayer(id, verdict) {
  const layer = byId(id);
  if (!verdict) { layer.hidden = true; layer.dataset.wanted = layer.dataset.address = ""; return; }
  layer.dataset.wanted = address(verdict, id);
  if (!layer.dataset.loading) load(layer);
}

function load(layer) {  // one after another: of a fast line only the newest image is loaded
  const wanted = layer.dataset.wanted;
  if (layer.dataset.address === wanted) return;
  layer.dataset.address = layer.dataset.loading = wanted;
  const next = new Image();  // the old image stays until the new one is there
  const end = (isThere) => {
    delete layer.dataset.loading;
    if (layer.dataset.wanted === wanted) layer.hidden = !isThere;
    if (isThere) layer.src = wanted;
    load(layer);
  };
  next.onload = () => end(true);
  next.onerror = () => end(false);
  next.src = wanted;
}

function part(verdict) {
  const item = document.createElement("li");
  item.className = kind(verdict);
  item.dataset.id = verdict.id;
  const button = document.createElement("button");
  button.type = "button";
  button.onclick = () => hold(verdict);
  const image = document.createElement("img");
  image.alt = "";
  setTimeout(() => { if (image.isConnected) image.src = address(verdict, "thumbnail"); }, THUMBNAIL_MS);
  image.onerror = () => {
    const none = document.createElement("span");
    none.className = "no-image";
    image.replaceWith(none);
  };
  const word = document.createElement("span");
  word.className = "word";
  word.textContent = WORDS[kind(verdict)];
  const time = document.createElement("time");
  time.textContent = clock(verdict);
  button.append(image, word, time);
  item.append(button);
  return item;
}

function showLast(verdicts) {  // parts that stay are not moved: they keep the focus
  const list = byId("last");
  const wanted = new Set(verdicts.map((verdict) => verdict.id));
  for (const item of [...list.children]) if (!wanted.has(item.dataset.id)) item.remove();
  const there = new Map([...list.children].map((item) => [item.dataset.id, item]));
  verdicts.forEach((verdict, place) => {
    const item = there.get(verdict.id) || part(verdict);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null);
  });
}

function problemsOf(shown) {
  const problems = lost ? [lost] : [];
  if (!shown) return problems;
  if (shown.state === "stopped") problems.push(say("The line is stopped: no part is judged."));
  else if (shown.message) problems.push(say("No part is judged. {problem}", { problem: reported(shown.message) }));
  else if (shown.state === "starting") problems.push(say("The line is starting."));
  for (const source of shown.sources || [])
    if (!source.is_connected)
      problems.push(say("Source {name} gives no images. {message} Check power, cable and address; the line goes on by itself.", { ...source, message: reported(source.message) }));
  for (const sink of shown.sinks || [])
    if (!sink.is_connected)
      problems.push(say("{name} gets no verdicts. {message} {number} wait and are sent later.", { ...sink, message: reported(sink.message), number: number.format(sink.waiting) }));
  for (const alarm of shown.alarms || []) problems.push(`${alarm.source}: ${reported(alarm.message)}`);
  if (held) problems.push(say("Paused at an earlier part. The line goes on: {number} parts since.", { number: number.format(Math.max(0, shown.shift.images - heldAt)) }));
  return problems;
}

function showProblems() {
  const texts = problemsOf(state);
  const list = byId("problems");
  if ([...list.children].map((item) => item.textContent).join("\n") === texts.join("\n")) return;
  list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

function showCounters(shown) {
  const shift = shown.shift;
  setText("shift-begin", say(" since {time}", { time: new Date(shift.begin).toLocaleTimeString(TIMES, { hour: "2-digit", minute: "2-digit" }) }));
  setText("images", number.format(shift.images));
  setText("anomalous", number.format(shift.anomalous));
  setText("share", shift.images ? `${numberText((100 * shift.anomalous) / shift.images, 1)} %` : "–");
  const pace = shown.rate_per_s === undefined ? "" : say("{number} a second", { number: numberText(shown.rate_per_s, 1) });
  const latency = shown.latency_s == null ? "" : say("{number} ms from image to verdict", { number: Math.round(1000 * shown.latency_s) });
  setText("pace", [pace, latency].filter(Boolean).join(" · "));
}

function show(next) {
  state = next;
  const verdict = next.last[0];
  const id = verdict ? verdict.id : "";
  if (id !== newest) {
    if (newest && kind(verdict) === "not-ok") beep();
    newest = id;
  }
  if (!held) showVerdict(verdict);
  showLast(next.last);
  showCounters(next);
  showProblems();
  const run = byId("run");
  if (run) {
    const stopped = next.state === "stopped";
    run.hidden = false;
    run.dataset.wanted = stopped ? "start" : "stop";
    run.textContent = stopped ? say("Start the line") : say("Stop the line");
  }
}

function hold(verdict) {
  held = verdict;
  heldAt = state ? state.shift.images : 0;
  document.body.classList.toggle("is-held", Boolean(held));
  byId("hold").setAttribute("aria-pressed", String(Boolean(held)));
  byId("hold").textContent = held ? say("Back to the newest") : say("Pause");
  showVerdict(held || (state && state.last[0]));
  showProblems();
}

function beep() {
  if (!audio) return;
  const tone = audio.createOscillator(), volume = audio.createGain();
  tone.type = "square";
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.2, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.6);
  document.body.dataset.beeps = String(Number(document.body.dataset.beeps || 0) + 1);
}

function setSound(on) {  // browsers let a page sound only after a press
  audio = on ? audio || new AudioContext() : null;
  byId("sound").setAttribute("aria-pressed", String(on));
  byId("sound").textContent = on ? say("Sound on") : say("Sound off");
}

function setLost(text) {
  lost = text;
  document.body.classList.toggle("is-stale", Boolean(text));
  showProblems();
}

function connect() {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${root}/events`);
  const wait = () => {
    clearTimeout(silence);
    silence = setTimeout(() => setLost(say("The server does not answer. This is an old part.")), SILENCE_MS);
  };
  socket.onopen = () => { alive = setInterval(() => socket.send("alive"), ALIVE_MS); };
  socket.onmessage = (event) => { setLost(""); show(JSON.parse(event.data)); wait(); };
  socket.onclose = (event) => {
    clearInterval(alive);
    clearTimeout(silence);
    if (LAST_REFUSALS.includes(event.code)) { location.reload(); return; }
    setLost(say("No connection to the server. This is an old part. The page connects again by itself."));
    setTimeout(connect, AGAIN_MS);
  };
  wait();
}

byId("hold").onclick = () => hold(held ? null : state && state.last[0]);
byId("sound").onclick = () => setSound(!audio);
byId("full").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
byId("with-heat").onchange = (event) => byId("image").classList.toggle("without-heat", !event.target.checked);
if (byId("run")) byId("run").onclick = async () => {
  const run = byId("run");
  run.disabled = true;
  try {
    const answer = await fetch(`${root}/${run.dataset.wanted}`, { method: "POST" });
    if (!answer.ok) setLost(await answer.text());
  } finally { run.disabled = false; }
};
connect();
