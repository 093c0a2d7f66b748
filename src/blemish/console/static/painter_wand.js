// The magic wand in the painter: it paints by colour, and again if the tolerance is another one.
import { wand } from "/console/static/magic_wand.js";

// methods of the painter
export const WAND_METHODS = {
  paintAlike(x, y) {
    wand(this.imagePixels(), x, y, this.tolerance, (row, x0, x1) => this.mask.span(row, x0, x1, this.type));
    this.view.touch(0, 0, this.mask.width, this.mask.height);
    this.finish();
    this.wanded = { x, y, state: this.mask.state };
  },
  // while the last stroke is one of the wand, the slider changes it
  paintAlikeAgain() {
    if (!this.wanded || !this.ready || !this.mayPaint || this.mask.state !== this.wanded.state) return;
    this.mask.undo();
    this.paintAlike(this.wanded.x, this.wanded.y);
  },
  // the image as it is stored; read once, when the wand is used
  imagePixels() {
    const [level] = this.view.levels;
    if (this.wandImage?.level !== level) {
      const context = new OffscreenCanvas(level.width, level.height).getContext("2d");
      context.drawImage(level, 0, 0);
      this.wandImage = { level, pixels: context.getImageData(0, 0, level.width, level.height) };
    }
    return this.wandImage.pixels;
  },
};
