// How the painter follows the pointer, zooms, and draws lines above the image.

export const MAX_SIZE = 512; // of the brush, in pixels of the image

// methods of the painter
export const CANVAS_METHODS = {
  // the pointer
  at(event) {
    const box = this.$refs.stage.getBoundingClientRect();
    const ratio = this.$refs.canvas.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  },
  down(event) {
    if (!this.ready) return;
    this.$refs.stage.focus({ preventScroll: true });
    if (this.fingerDown(event) || (this.active !== null && this.active !== event.pointerId)) return;
    this.pointer = this.at(event);
    this.crossed = false;
    this.removing = event.shiftKey;
    const moves = event.button === 1 || this.moving;
    if (moves) this.dragged = this.pointer;
    else if (event.button !== 0 || !this.begin(this.view.inImage(...this.pointer))) return;
    event.preventDefault();
    this.active = event.pointerId;
    this.$refs.stage.setPointerCapture(event.pointerId);
  },
  move(event) {
    if (this.fingerMove(event) || (this.active !== null && this.active !== event.pointerId)) return;
    this.pointer = this.at(event);
    if (this.dragged) {
      this.view.pan(this.pointer[0] - this.dragged[0], this.pointer[1] - this.dragged[1]);
      this.dragged = this.pointer;
    } else if (this.cornered) {
      this.moveCorner(this.view.inImage(...this.pointer));
    } else if (this.stroke) {
      const moves = event.getCoalescedEvents();
      for (const moved of moves.length ? moves : [event]) {
        const point = this.view.inImage(...this.at(moved));
        this.mask.line(this.stroke.last, point, this.size, this.stroke.type);
        this.stroke.last = point;
      }
    }
    this.sketch();
  },
  up(event) {
    if (this.fingerUp(event)) return void (this.active = null);
    if (this.active !== event.pointerId) return;
    this.active = null;
    this.dragged = null;
    if (this.cornered) this.endCorner();
    if (this.stroke) this.finish();
  },
  leave() {
    this.pointer = null;
    this.sketch();
  },
  wheel(event) {
    event.preventDefault();
    if (!this.ready) return;
    const pixels = event.deltaY * (event.deltaMode === 1 ? 30 : 1);
    this.zoomTo(this.view.scale * Math.exp(-pixels / (event.ctrlKey ? 100 : 400)), ...this.at(event));
  },
  // zoom
  zoomTo(scale, ...at) {
    if (!this.ready) return;
    this.view.zoom(scale, ...at);
    this.percent = this.view.scale * 100;
  },
  zoomBy(factor) {
    this.zoomTo(this.view.scale * factor);
  },
  fit() {
    if (!this.ready) return;
    this.view.fit();
    this.percent = this.view.scale * 100;
  },
  resize() {
    const { clientWidth, clientHeight } = this.$refs.stage;
    const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * devicePixelRatio));
    this.view.resize(Math.max(1, width), Math.max(1, height));
    this.$refs.sketch.setAttribute("viewBox", `0 0 ${width} ${height}`);
  },
  sizeFrom(step) {
    this.size = Math.max(1, Math.round(MAX_SIZE ** (step / 100)));
  },
  resizeBrush(factor) {
    const size = Math.round(this.size * factor);
    const other = size === this.size ? size + Math.sign(factor - 1) : size;
    this.size = Math.min(MAX_SIZE, Math.max(1, other));
  },
  // lines above the image: the brush's ring, the polygon under way, the cross of the keyboard
  sketch() {
    const { view, pointer, points } = this;
    if (!view.mask) return;
    this.percent = view.scale * 100;
    const onCanvas = (x, y) => [view.x + x * view.scale, view.y + y * view.scale];
    const middle = [view.canvas.width / 2, view.canvas.height / 2];
    const tip = this.crossed ? middle : pointer;
    const round = this.tool === "brush" || this.tool === "eraser";
    for (const ring of [this.$refs.ringBelow, this.$refs.ringAbove]) {
      ring.setAttribute("r", round && tip ? (this.size / 2) * view.scale : 0);
      ring.setAttribute("cx", tip?.[0] ?? 0);
      ring.setAttribute("cy", tip?.[1] ?? 0);
    }
    const line = [];
    const corners = this.tool === "polygon" ? this.corners() : [];
    for (let i = 0; i < corners.length; i += 2) line.push(onCanvas(corners[i], corners[i + 1]));
    this.$refs.corners.setAttribute("d", line.map(([x, y]) => `M${x - 4} ${y - 4}h8v8h-8z`).join(""));
    if (points.length && tip && !this.cornered) line.push(tip);
    if (line.length > 2) line.push(line[0]);
    for (const polygon of [this.$refs.polygonBelow, this.$refs.polygonAbove]) {
      polygon.setAttribute("points", line.map((point) => point.join()).join(" "));
    }
    const [x, y] = middle;
    this.$refs.cross.setAttribute("d", this.crossed ? `M${x - 12} ${y}h24M${x} ${y - 12}v24` : "");
  },
};
