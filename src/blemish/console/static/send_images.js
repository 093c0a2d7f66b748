// Sends files one by one, a few at a time, and waits where the server is busy.
export const PATIENCE_S = 60;

export const judge = (url, file) => send("POST", url, file);
export const keep = (url, file) => send("PUT", `${url}?path=${encodeURIComponent(file.name)}`, file);

async function send(method, url, file) {
  const until = Date.now() + 1000 * PATIENCE_S;
  for (;;) {
    let answer;
    try {
      const response = await fetch(url, { method, body: file, headers: { "Content-Type": file.type || "image/jpeg" } });
      if (!response.ok) return { problem: await response.text() };
      answer = await response.json();
    } catch {
      return { problem: "The server did not answer. Is the connection lost?" };
    }
    if (!answer.again_s || Date.now() > until) return answer;
    await new Promise((resolve) => setTimeout(resolve, 1000 * answer.again_s));
  }
}

export async function inTurns(items, work, atOnce = 3) {
  const waiting = [...items];
  const worker = async () => {
    while (waiting.length) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
