"use strict";
// Shows each state of the station that /events sends. A page that gets none for a while says so:
// nobody may take an old verdict for the newest.

const SILENCE_MS = 15_000;
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
let silence;

function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function setAlarm(text) {
  setText("alarm", text);
  byId("alarm").hidden = !text;
  document.body.classList.toggle("is-stale", Boolean(text));
}

function item(className, ...texts) {
  const element = document.createElement("li");
  element.className = className;
  for (const [name, text] of texts) {
    const part = document.createElement(name === "time" ? "time" : "span");
    part.className = name;
    part.textContent = text;
    element.append(part);
  }
  return element;
}

const clock = (verdict) => new Date(verdict.time).toLocaleTimeString("en-GB");
const score = (verdict) => `${verdict.score.toFixed(2)} / ${verdict.threshold.toFixed(2)}`;

function showVerdict(verdict) {
  const name = !verdict ? "none" : verdict.is_anomalous ? "not-ok" : "ok";
  document.body.dataset.verdict = name;
  setText("word", { none: "NO IMAGE", ok: "OK", "not-ok": "NOT OK" }[name]);
  const areas = verdict ? verdict.anomalies.map((area) => area.name).join(", ") : "";
  setText("detail", verdict ? [areas, `score ${score(verdict)}`].filter(Boolean).join(" · ") : "");
  setText("caption", verdict ? `${clock(verdict)}  ${verdict.image_name}` : "No image yet");
}

function showLayer(id, verdict) {
  const layer = byId(id);
  if (!verdict) { layer.hidden = true; return; }
  const address = `/images/${encodeURIComponent(verdict.id)}/${id}`;
  if (layer.dataset.address === address) return;
  layer.dataset.address = address;
  const next = new Image();  // the old image stays until the new one is there
  next.onload = () => {
    if (layer.dataset.address !== address) return;
    layer.src = address;
    layer.hidden = false;
  };
  next.onerror = () => { if (layer.dataset.address === address) layer.hidden = true; };
  next.src = address;
}

function connection(entry, notes) {
  const [className, word] = entry.is_connected ? ["is-there", "on"] : ["is-away", "away"];
  const text = [notes, entry.is_connected ? "" : entry.message].filter(Boolean).join(" · ");
  return item("", [`state ${className}`, word], ["name", entry.name], ["note", text && ` ${text}`]);
}

const counted = (entry, names) => names
  .filter((name) => entry[name])
  .map((name) => `${number.format(entry[name])} ${name}`)
  .join(", ");

function show(state) {
  showVerdict(state.shown || state.last[0]);
  showLayer("photo", state.shown);
  showLayer("heat-map", state.shown);
  byId("photo").alt = state.shown ? `Image ${state.shown.image_name}` : "";
  setText("detections", number.format(state.detections));
  setText("anomalous", number.format(state.anomalous));
  setText("rate", state.rate_per_s.toFixed(1));
  setText("latency", state.latency_s === null ? "–" : `${Math.round(1000 * state.latency_s)} ms`);
  setText("component", `${state.component} ${state.component_version}`);
  showDrift(state.alarms);
  byId("sources").replaceChildren(
    ...state.sources.map((entry) => connection(entry, counted(entry, ["dropped", "failed"]))));
  byId("sinks").replaceChildren(
    ...state.sinks.map((entry) => connection(entry, counted(entry, ["waiting", "dropped"]))));
  byId("last").replaceChildren(...state.last.slice(0, 20).map((verdict) =>
    item(verdict.is_anomalous ? "not-ok" : "ok",
      ["time", clock(verdict)], ["word", verdict.is_anomalous ? "NOT OK" : "OK"],
      ["score", verdict.score.toFixed(2)])));
}

function showDrift(alarms) {
  const texts = alarms.map((alarm) => `${alarm.source}: ${alarm.message}`);
  const list = byId("drift");
  if (list.dataset.texts === texts.join()) return;  // read aloud once
  list.dataset.texts = texts.join();
  list.replaceChildren(...texts.map((text) => item("", ["note", text])));
  list.hidden = !texts.length;
}

function connect() {
  const events = new EventSource("/events");
  const wait = () => {
    clearTimeout(silence);
    silence = setTimeout(() => setAlarm("The station does not answer. This is an old image."), SILENCE_MS);
  };
  events.onmessage = (event) => { show(JSON.parse(event.data)); setAlarm(""); wait(); };
  events.onerror = () => {
    setAlarm("No connection to the station. This is an old image.");
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 2_000);
  };
  wait();
}

connect();
