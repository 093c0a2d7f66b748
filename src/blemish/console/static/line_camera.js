"use strict";
// Takes images of this browser's camera and lets the line judge them, one after another.

const byId = (id) => document.getElementById(id);
const video = byId("video"), verdict = byId("verdict");
let timer = null, busy = false;

function show(text) {
  const item = document.createElement("li");
  item.textContent = text;
  byId("problems").replaceChildren(...(text ? [item] : []));
}

async function openCamera(deviceId) {
  if (!navigator.mediaDevices) {
    show(say("Browsers give images of a camera only to pages over HTTPS, or of this machine. Set up TLS for the server."));
    return;
  }
  for (const track of video.srcObject?.getTracks() || []) track.stop();
  const wanted = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { ...wanted, width: { ideal: 1920 } } });
  } catch (error) {
    show(say("The camera cannot be used: {problem}. Allow it for this page, and look whether another program has it.", { problem: error.message }));
    return;
  }
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
  const current = video.srcObject.getVideoTracks()[0].getSettings().deviceId;
  byId("device").replaceChildren(...devices.map((each, index) => {
    const option = new Option(each.label || say("Camera {number}", { number: index + 1 }), each.deviceId);
    option.selected = each.deviceId === current;
    return option;
  }));
}

async function take() {
  if (busy || !video.videoWidth) return;
  busy = true;
  try {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const image = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
    const name = encodeURIComponent(new Date().toISOString());
    const answer = await fetch(`${document.body.dataset.url}/images?name=${name}`, { method: "POST", body: image });
    const text = await answer.text();
    const result = answer.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : { error: text };
    show(result.error || "");
    verdict.dataset.verdict = result.error ? "none" : result.is_anomalous ? "not-ok" : "ok";
    verdict.textContent = result.error ? "–" : result.is_anomalous ? say("NOT OK") : say("OK");
  } catch (error) {
    show(say("The server does not answer: {problem}", { problem: error.message }));
  } finally { busy = false; }
}

byId("take").onclick = take;
byId("device").onchange = (event) => openCamera(event.target.value);
byId("again").onclick = () => {
  const on = timer === null;
  if (on) timer = setInterval(take, 1000 * Math.max(0.1, Number(byId("every").value) || 2));
  else { clearInterval(timer); timer = null; }
  byId("again").setAttribute("aria-pressed", String(on));
};
openCamera("");
