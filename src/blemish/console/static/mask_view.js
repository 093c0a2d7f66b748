// An image and its mask on a canvas as large as the place it has, at any zoom.
//
// The mask is kept as tiles of colour; of what was painted, only the tiles that it touches are
// made anew, a few milliseconds a frame, and only their part of the canvas is drawn.

import { upright } from "/console/static/image_turns.js";

const TILE = 512;
const FRAME_MS = 10; // for making tiles anew; the rest of them waits for the next frame
const MOST_ZOOM = 40;

export class MaskView {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.colors = new Uint32Array(256);
    this.opacity = 0.5;
    this.filter = "none"; // of the image, below the mask
    this.scale = 1; // pixels of the canvas a pixel of the image
    this.x = 0; // of the image's corner on the canvas
    this.y = 0;
    this.levels = [];
    this.tiles = [];
    this.stale = new Map(); // number of a tile -> what of it must be made anew
    this.dirty = null; // what of the canvas must be drawn
    this.frame = 0;
    this.mask = null;
    this.drawn = () => {};
  }

  // levels: the image, and smaller ones of it
  show(mask, levels) {
    this.mask = mask;
    this.levels = levels;
    this.columns = Math.ceil(mask.width / TILE);
    this.tiles = [];
    this.touch(0, 0, mask.width, mask.height);
    this.fit();
  }

  // another mask of the same image
  replace(mask) {
    this.mask = mask;
    this.touch(0, 0, mask.width, mask.height);
  }

  resize(width, height) {
    const fitted = this.mask && this.scale === this.fitting;
    this.canvas.width = width;
    this.canvas.height = height;
    if (fitted) this.fit();
    else this.draw();
  }

  // colors: [[type, "#RRGGBB"], ...]
  paintIn(colors) {
    const before = this.colors.slice();
    this.colors.fill(0);
    for (const [type, color] of colors) {
      const code = parseInt(color.slice(1), 16);
      const bgr = ((code & 255) << 16) | (code & 0xff00) | (code >> 16);
      this.colors[type] = (0xff000000 | bgr) >>> 0;
    }
    const same = before.every((color, type) => color === this.colors[type]);
    if (this.mask && !same) this.touch(0, 0, this.mask.width, this.mask.height);
  }

  // what of the mask has changed
  touch(x0, y0, x1, y1) {
    for (let r = Math.floor(y0 / TILE); r * TILE < y1; r++) {
      for (let c = Math.floor(x0 / TILE); c * TILE < x1; c++) {
        const number = r * this.columns + c;
        const old = this.stale.get(number) ?? [Infinity, Infinity, -Infinity, -Infinity];
        this.stale.set(number, [
          Math.min(old[0], Math.max(x0, c * TILE)),
          Math.min(old[1], Math.max(y0, r * TILE)),
          Math.max(old[2], Math.min(x1, (c + 1) * TILE, this.mask.width)),
          Math.max(old[3], Math.min(y1, (r + 1) * TILE, this.mask.height)),
        ]);
      }
    }
    this._ask();
  }

  // draw all of the canvas
  draw() {
    this.dirty = [0, 0, this.canvas.width, this.canvas.height];
    this._ask();
  }

  get fitting() {
    const { width, height } = this.mask;
    return Math.min(this.canvas.width / width, this.canvas.height / height);
  }

  fit() {
    this.scale = this.fitting;
    this.x = (this.canvas.width - this.mask.width * this.scale) / 2;
    this.y = (this.canvas.height - this.mask.height * this.scale) / 2;
    this.draw();
  }

  // zoom, so that what is at a point of the canvas stays there
  zoom(scale, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    scale = Math.min(MOST_ZOOM, Math.max(Math.min(1, this.fitting / 2), scale));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.pan(0, 0);
  }

  // some of the image always stays in sight
  pan(dx, dy) {
    const { width, height } = this.canvas;
    const margin = 40;
    const [w, h] = [this.mask.width * this.scale, this.mask.height * this.scale];
    this.x = Math.min(width - margin, Math.max(margin - w, this.x + dx));
    this.y = Math.min(height - margin, Math.max(margin - h, this.y + dy));
    this.draw();
  }

  // a point of the canvas in the image
  inImage(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  stop() {
    cancelAnimationFrame(this.frame);
    for (const level of this.levels) level.close();
    this.levels = [];
    this.mask = null;
  }

  _ask() {
    this.frame ||= requestAnimationFrame(() => this._frame());
  }

  _frame() {
    this.frame = 0;
    if (!this.mask) return;
    const end = performance.now() + FRAME_MS;
    for (const [number, part] of this.stale) {
      this.stale.delete(number);
      if (this._make(number, part)) this._soil(part);
      if (performance.now() > end) break;
    }
    if (this.dirty) this._draw(...this.dirty);
    this.dirty = null;
    this.drawn();
    if (this.stale.size) this._ask();
  }

  // make a part of a tile anew; a tile that never had a colour is none
  _make(number, [x0, y0, x1, y1]) {
    const { mask, colors } = this;
    const [w, h] = [x1 - x0, y1 - y0];
    const image = new ImageData(w, h);
    const out = new Uint32Array(image.data.buffer);
    let any = 0;
    for (let y = y0, i = 0; y < y1; y++) {
      for (let at = y * mask.width + x0, last = at + w; at < last; at++) {
        any |= out[i++] = colors[mask.pixels[at]];
      }
    }
    if (!any && !this.tiles[number]) return false;
    this.tiles[number] ??= this._tile(number);
    const { context, x, y } = this.tiles[number];
    context.putImageData(image, x0 - x, y0 - y);
    return true;
  }

  _tile(number) {
    const x = (number % this.columns) * TILE;
    const y = Math.floor(number / this.columns) * TILE;
    const w = Math.min(TILE, this.mask.width - x);
    const h = Math.min(TILE, this.mask.height - y);
    const canvas = new OffscreenCanvas(w, h);
    return { canvas, context: canvas.getContext("2d", { willReadFrequently: true }), x, y, w, h };
  }

  _soil([x0, y0, x1, y1]) {
    const old = this.dirty ?? [Infinity, Infinity, -Infinity, -Infinity];
    this.dirty = [
      Math.min(old[0], Math.max(0, Math.floor(this.x + x0 * this.scale) - 1)),
      Math.min(old[1], Math.max(0, Math.floor(this.y + y0 * this.scale) - 1)),
      Math.max(old[2], Math.min(this.canvas.width, Math.ceil(this.x + x1 * this.scale) + 1)),
      Math.max(old[3], Math.min(this.canvas.height, Math.ceil(this.y + y1 * this.scale) + 1)),
    ];
  }

  _draw(left, top, right, bottom) {
    if (left >= right || top >= bottom) return;
    const { context, mask, scale } = this;
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    context.fillStyle = getComputedStyle(this.canvas).backgroundColor;
    context.fillRect(left, top, right - left, bottom - top);
    context.imageSmoothingEnabled = scale < 4;
    context.imageSmoothingQuality = "low";
    context.filter = this.filter;
    context.drawImage(this._level(), this.x, this.y, mask.width * scale, mask.height * scale);
    context.filter = "none";
    context.imageSmoothingEnabled = false;
    context.globalAlpha = this.opacity;
    for (const tile of this.tiles) {
      if (!tile) continue;
      // whole pixels, so that tiles meet without a seam
      const x0 = Math.round(this.x + tile.x * scale);
      const y0 = Math.round(this.y + tile.y * scale);
      const x1 = Math.round(this.x + (tile.x + tile.w) * scale);
      const y1 = Math.round(this.y + (tile.y + tile.h) * scale);
      if (x1 < left || y1 < top || x0 > right || y0 > bottom) continue;
      context.drawImage(tile.canvas, x0, y0, x1 - x0, y1 - y0);
    }
    context.restore();
  }

  // the smallest image that is large enough
  _level() {
    const wanted = this.mask.width * this.scale;
    return this.levels.findLast((level) => level.width >= wanted) ?? this.levels[0];
  }
}

// the image upright, and smaller ones: an image drawn far below its size looks rough
export async function levelsOf(image, orientation) {
  const blob = withoutExif(new Uint8Array(await image.arrayBuffer()));
  const levels = [upright(await createImageBitmap(blob), orientation)];
  const [{ width, height }] = levels;
  for (let half = width / 2; half >= 700; half /= 2) {
    const resizeWidth = Math.round(half);
    const resizeHeight = Math.max(1, Math.round((height * half) / width));
    const size = { resizeWidth, resizeHeight, resizeQuality: "medium" };
    levels.push(await createImageBitmap(levels[0], size));
  }
  return levels;
}

// Browsers turn an image as its EXIF data say, whatever imageOrientation is. So those are cut out:
// the segments APP1 of a JPEG file that begin with "Exif", the chunk eXIf of a PNG file.
function withoutExif(data) {
  const view = new DataView(data.buffer);
  const chunks = [];
  let start = 0;
  const cut = (from, to) => {
    chunks.push(data.subarray(start, from));
    start = to;
  };
  if (view.getUint16(0) === 0xffd8) {
    for (let i = 2; i + 8 < data.length && data[i] === 0xff && data[i + 1] !== 0xda; ) {
      const end = data[i + 1] === 0xff ? i + 1 : i + 2 + view.getUint16(i + 2);
      if (data[i + 1] === 0xe1 && view.getUint32(i + 4) === 0x45786966) cut(i, end);
      i = end;
    }
  } else {
    for (let i = 8; i + 12 <= data.length; ) {
      const end = i + 12 + view.getUint32(i);
      if (view.getUint32(i + 4) === 0x65584966) cut(i, end);
      i = end;
    }
  }
  return new Blob([...chunks, data.subarray(start)]);
}
