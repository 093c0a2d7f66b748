// Masks on their way to the server and back; `masks.py` reads and writes the same.

// browsers have no more than a TypeError for a server that does not answer
export function reason(error) {
  return error instanceof TypeError ? "The server does not answer. Try again in a moment." : error.message;
}

export async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.blob();
}

// a JSON line, then a byte a pixel; compressed, as a mask shrinks to a hundredth
export async function packed(head, pixels) {
  const plain = new Blob([`${JSON.stringify(head)}\n`, pixels]).stream();
  return new Response(plain.pipeThrough(new CompressionStream("gzip"))).blob();
}

export async function unpacked(blob) {
  const plain = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  const data = new Uint8Array(await new Response(plain).arrayBuffer());
  const end = data.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(data.subarray(0, end)));
  const pixels = data.length > end + 1 ? data.slice(end + 1) : new Uint8Array(head.width * head.height);
  return { head, pixels };
}
