// The magic wand: what hangs together with a pixel and has nearly its colour.

// call span(y, x0, x1) for each run of pixels; image: ImageData; tolerance: levels of 255 a channel
export function wand(image, x, y, tolerance, span) {
  const { width, height, data } = image;
  const seed = meanColor(image, x, y);
  const visited = new Uint8Array(width * height); // 1: painted or refused already
  const fits = (at) => {
    if (visited[at]) return false;
    for (let c = 0, i = 4 * at; c < 3; c++) if (Math.abs(data[i + c] - seed[c]) > tolerance) return false;
    return true;
  };
  const waiting = [x, y];
  while (waiting.length) {
    const row = waiting.pop();
    let left = waiting.pop();
    const start = row * width;
    if (!fits(start + left)) continue;
    let right = left + 1;
    while (left > 0 && fits(start + left - 1)) left--;
    while (right < width && fits(start + right)) right++;
    visited.fill(1, start + left, start + right);
    span(row, left, right);
    for (const next of [row - 1, row + 1]) {
      if (next < 0 || next >= height) continue;
      for (let i = left; i < right; i++) {
        if (!fits(next * width + i)) continue;
        waiting.push(i, next);
        while (i + 1 < right && fits(next * width + i + 1)) i++;
      }
    }
  }
}

// of a pixel and its neighbours: one noisy pixel decides nothing
function meanColor({ width, height, data }, x, y) {
  const sums = [0, 0, 0];
  let count = 0;
  for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
    for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++, count++) {
      for (let c = 0; c < 3; c++) sums[c] += data[4 * (row * width + column) + c];
    }
  }
  return sums.map((sum) => sum / count);
}
