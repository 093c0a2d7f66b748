// Sends image files one by one, a few at a time, and waits where the server is busy.
import { request } from "/console/static/server.js";

const PATIENCE_S = 60;

export const detect = (url, file) => send("POST", url, file);
export const upload = (url, file) => send("PUT", `${url}?path=${encodeURIComponent(file.name)}`, file);

// the members of the answer; `problem` among them says what is wrong with the image
async function send(method, url, file) {
  const until = Date.now() + 1000 * PATIENCE_S;
  for (;;) {
    let members;
    try {
      const options = { method, body: file, headers: { "Content-Type": file.type || "image/jpeg" } };
      members = await (await request(url, options)).json();
    } catch (error) {
      return { problem: error.message };
    }
    if (!members.again_s || Date.now() > until) return members;
    await new Promise((resolve) => setTimeout(resolve, 1000 * members.again_s));
  }
}

export async function inTurns(items, work, atOnce = 3) {
  const waiting = [...items];
  const worker = async () => {
    while (waiting.length) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
