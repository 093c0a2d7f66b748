// A mask as it is painted: one byte a pixel, the number of its anomaly type, 0 for none.
//
// Whatever is painted goes through `span`, which keeps the blocks that it touches as they were
// before; those blocks are what undo and redo swap. So no stroke costs more than what it touches.

const BLOCK = 128; // side of a block, in pixels
const HISTORY_BYTES = 96 * 2 ** 20; // of blocks stored for undo and redo; the last stroke always

export class MaskBuffer {
  // pixels: Uint8Array of width * height; touched(x0, y0, x1, y1) is called with what has changed
  constructor(width, height, pixels, touched) {
    this.width = width;
    this.height = height;
    this.pixels = pixels;
    this.touched = touched;
    this.counts = new Float64Array(256); // pixels of each type
    for (let i = 0; i < pixels.length; i++) this.counts[pixels[i]]++;
    this.columns = Math.ceil(width / BLOCK);
    this.before = new Map(); // number of a block -> its pixels before the stroke under way
    this.done = [];
    this.undone = [];
    this.bytes = 0;
    this.base = {}; // stands for the state before the oldest stroke in `done`
  }

  // what names the present state: the same again after undo and redo
  get state() {
    return this.done.at(-1) ?? this.base;
  }

  get painted() {
    return this.pixels.length - this.counts[0];
  }

  // paint the pixels x0 to x1 - 1 of row y
  span(y, x0, x1, type) {
    if (y < 0 || y >= this.height) return;
    x0 = Math.max(0, x0);
    x1 = Math.min(this.width, x1);
    if (x0 >= x1) return;
    const row = Math.floor(y / BLOCK) * this.columns;
    for (let c = Math.floor(x0 / BLOCK), last = Math.floor((x1 - 1) / BLOCK); c <= last; c++) {
      if (!this.before.has(row + c)) this.before.set(row + c, this._copy(row + c));
    }
    this.pixels.fill(type, y * this.width + x0, y * this.width + x1);
  }

  // paint every pixel whose centre is at most size / 2 from the line between two points
  line(from, to, size, type) {
    const r = size / 2;
    const [ax, ay, bx, by] = [...centred(from, size), ...centred(to, size)];
    const length = Math.hypot(bx - ax, by - ay);
    const nx = length ? (-(by - ay) / length) * r : 0;
    const ny = length ? ((bx - ax) / length) * r : 0;
    const sides = [ax + nx, ay + ny, bx + nx, by + ny, bx - nx, by - ny, ax - nx, ay - ny];
    const top = Math.floor(Math.min(ay, by) - r);
    const bottom = Math.ceil(Math.max(ay, by) + r);
    for (let y = top; y <= bottom; y++) {
      let [low, high] = [Infinity, -Infinity];
      const middle = y + 0.5;
      for (const [cx, cy] of [[ax, ay], [bx, by]]) {
        const rest = r * r - (middle - cy) ** 2;
        if (rest < 0) continue;
        low = Math.min(low, cx - Math.sqrt(rest));
        high = Math.max(high, cx + Math.sqrt(rest));
      }
      for (const x of length ? crossings(sides, middle) : []) {
        low = Math.min(low, x);
        high = Math.max(high, x);
      }
      if (low <= high) this.span(y, Math.ceil(low - 0.5), Math.floor(high - 0.5) + 1, type);
    }
    this._touch(Math.min(ax, bx) - r, top, Math.max(ax, bx) + r, bottom + 1);
  }

  // paint every pixel whose centre is inside a polygon [x, y, x, y, ...]
  polygon(points, type) {
    const ys = points.filter((_, i) => i % 2);
    const sides = points.filter((_, i) => i % 2 === 0);
    const top = Math.max(0, Math.floor(Math.min(...ys)));
    const bottom = Math.min(this.height, Math.ceil(Math.max(...ys)));
    for (let y = top; y < bottom; y++) {
      const xs = crossings(points, y + 0.5).sort((a, b) => a - b);
      for (let i = 0; i + 1 < xs.length; i += 2) {
        this.span(y, Math.ceil(xs[i] - 0.5), Math.ceil(xs[i + 1] - 0.5), type);
      }
    }
    this._touch(Math.min(...sides), top, Math.max(...sides), bottom);
  }

  // paint all that hangs together with a pixel and is of its type
  fill(x, y, type) {
    const { pixels, width, height } = this;
    const from = pixels[y * width + x];
    if (from === type) return;
    const waiting = [x, y];
    let [x0, y0, x1, y1] = [x, y, x, y];
    while (waiting.length) {
      const row = waiting.pop();
      let left = waiting.pop();
      const start = row * width;
      if (pixels[start + left] !== from) continue;
      let right = left + 1;
      while (left > 0 && pixels[start + left - 1] === from) left--;
      while (right < width && pixels[start + right] === from) right++;
      this.span(row, left, right, type);
      [x0, y0] = [Math.min(x0, left), Math.min(y0, row)];
      [x1, y1] = [Math.max(x1, right), Math.max(y1, row + 1)];
      for (const next of [row - 1, row + 1]) {
        if (next < 0 || next >= height) continue;
        const part = pixels.subarray(next * width + left, next * width + right);
        for (let i = part.indexOf(from); i >= 0; i = part.indexOf(from, i)) {
          waiting.push(left + i, next);
          while (part[i] === from) i++;
        }
      }
    }
    this._touch(x0, y0, x1, y1);
  }

  // paint what another mask of the same size has where nothing is painted; numbers: its types here
  add(pixels, numbers) {
    for (let y = 0; y < this.height; y++) {
      const row = y * this.width;
      for (let x = 0; x < this.width; ) {
        const start = x;
        const type = numbers[pixels[row + x]];
        const free = !this.pixels[row + x];
        while (x < this.width && numbers[pixels[row + x]] === type && !this.pixels[row + x] === free) x++;
        if (type && free) this.span(y, start, x, type);
      }
    }
    this._touch(0, 0, this.width, this.height);
  }

  // paint every pixel of one type as another one
  exchange(from, to) {
    for (let y = 0; y < this.height; y++) {
      const row = this.pixels.subarray(y * this.width, (y + 1) * this.width);
      for (let x = row.indexOf(from); x >= 0; x = row.indexOf(from, x)) {
        const start = x;
        while (row[x] === from) x++;
        this.span(y, start, x, to);
      }
    }
    this._touch(0, 0, this.width, this.height);
  }

  clear() {
    for (let y = 0; y < this.height; y++) this.span(y, 0, this.width, 0);
    this._touch(0, 0, this.width, this.height);
  }

  // end a stroke: what it changed can be undone from now on
  end() {
    const blocks = [];
    for (const [number, before] of this.before) {
      if (this._count(number, before)) blocks.push({ number, pixels: before });
    }
    this.before.clear();
    if (!blocks.length) return;
    for (const patch of this.undone) this.bytes -= patch.bytes;
    this.undone = [];
    const bytes = blocks.reduce((sum, block) => sum + block.pixels.length, 0);
    this.done.push({ blocks, bytes });
    this.bytes += bytes;
    while (this.bytes > HISTORY_BYTES && this.done.length > 1) {
      this.base = this.done.shift();
      this.bytes -= this.base.bytes;
      this.base.blocks = [];
    }
  }

  // take back the stroke under way
  cancel() {
    for (const [number, before] of this.before) {
      this._paste(number, before);
      const { x, y, w, h } = this._place(number);
      this._touch(x, y, x + w, y + h);
    }
    this.before.clear();
  }

  undo() {
    this._swap(this.done, this.undone);
  }

  redo() {
    this._swap(this.undone, this.done);
  }

  _swap(from, to) {
    const patch = from.pop();
    if (!patch) return;
    for (const block of patch.blocks) {
      const now = this._copy(block.number);
      this._paste(block.number, block.pixels);
      this._count(block.number, now);
      block.pixels = now;
      const { x, y, w, h } = this._place(block.number);
      this._touch(x, y, x + w, y + h);
    }
    to.push(patch);
  }

  _place(number) {
    const x = (number % this.columns) * BLOCK;
    const y = Math.floor(number / this.columns) * BLOCK;
    return { x, y, w: Math.min(BLOCK, this.width - x), h: Math.min(BLOCK, this.height - y) };
  }

  _copy(number) {
    const { x, y, w, h } = this._place(number);
    const copy = new Uint8Array(w * h);
    for (let row = 0; row < h; row++) {
      const start = (y + row) * this.width + x;
      copy.set(this.pixels.subarray(start, start + w), row * w);
    }
    return copy;
  }

  _paste(number, pixels) {
    const { x, y, w, h } = this._place(number);
    for (let row = 0; row < h; row++) {
      this.pixels.set(pixels.subarray(row * w, (row + 1) * w), (y + row) * this.width + x);
    }
  }

  // bring the counts up to date for a block; tell whether anything in it has changed
  _count(number, before) {
    const { x, y, w, h } = this._place(number);
    const { pixels, counts } = this;
    let changed = false;
    for (let row = 0, i = 0; row < h; row++) {
      for (let at = (y + row) * this.width + x, end = at + w; at < end; at++, i++) {
        if (pixels[at] === before[i]) continue;
        changed = true;
        counts[before[i]]--;
        counts[pixels[at]]++;
      }
    }
    return changed;
  }

  _touch(x0, y0, x1, y1) {
    this.touched(
      Math.max(0, Math.floor(x0)),
      Math.max(0, Math.floor(y0)),
      Math.min(this.width, Math.ceil(x1)),
      Math.min(this.height, Math.ceil(y1)),
    );
  }
}

// where a brush has its middle: on a pixel's centre or corner, so that it is as wide as it says
function centred([x, y], size) {
  return size % 2 ? [Math.floor(x) + 0.5, Math.floor(y) + 0.5] : [Math.round(x), Math.round(y)];
}

// where the sides of a polygon cross a row
function crossings(points, y) {
  const xs = [];
  for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
    const [ax, ay, bx, by] = [points[j], points[j + 1], points[i], points[i + 1]];
    if (ay > y !== by > y) xs.push(ax + ((y - ay) / (by - ay)) * (bx - ax));
  }
  return xs;
}
