// Requests beside the page. What the server refuses is an Error with its sentence for people.
const UNREACHABLE = say("The server cannot be reached. Try again in a moment.");
const FAULT = say("The server failed. Its log says why.");

// the answer; an Error has the status of a refusal, or 0 if the server cannot be reached
export async function request(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw problem(UNREACHABLE, 0);
  }
  if (answer.ok) return answer;
  const isSentence = (answer.headers.get("content-type") ?? "").startsWith("text/plain");
  throw problem((isSentence && (await answer.text())) || FAULT, answer.status);
}

export const sendJson = (url, members) =>
  request(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(members) });

function problem(message, status) {
  return Object.assign(new Error(message), { status });
}
