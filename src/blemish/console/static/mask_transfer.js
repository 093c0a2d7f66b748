// Masks on their way to the server and back; `mask_files.py` reads and writes the same.

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
