// Fingers on the painter: one paints, two zoom and move.

// methods of the painter; `fingers`: id of a pointer -> where it is, in pixels of the canvas
export const TOUCH_METHODS = {
  // tell whether a finger takes part in a pinch
  fingerDown(event) {
    if (event.pointerType !== "touch") return false;
    this.fingers.set(event.pointerId, this.at(event));
    if (this.fingers.size < 2) return this.pinching;
    this.pinching = true;
    this.$refs.stage.setPointerCapture(event.pointerId);
    if (this.stroke) { // its first finger meant to zoom
      this.stroke = null;
      this.mask.cancel();
    }
    this.cornered = null;
    return true;
  },
  fingerMove(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return false;
    const now = this.at(event);
    this.fingers.set(event.pointerId, now);
    if (!this.pinching) return false;
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) return true;
    const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
    this.zoomTo((this.view.scale * distance(now)) / distance(before), ...middle);
    this.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    return true;
  },
  fingerUp(event) {
    if (!this.fingers.delete(event.pointerId) || !this.pinching) return false;
    this.pinching = this.fingers.size > 0;
    return true;
  },
};
