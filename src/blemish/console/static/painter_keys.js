// What the keyboard does in the painter, and which tools there are.

// of the framework's icons none is an eraser
const ERASER = "M8.6 20H20v-2h-9.4zM15.1 3.9 20.1 8.9a1.5 1.5 0 0 1 0 2.1L11.2 20H6.8l-2.9-2.9a1.5 1.5 0 0 1 0-2.1L13 3.9a1.5 1.5 0 0 1 2.1 0zM9.3 10.5 5.3 14.5a1 1 0 0 0 0 1.4L7.4 18h2.8l3.1-3.1z";
export const TOOLS = [
  { name: "brush", icon: "brush", key: "b", title: say("Brush") },
  { name: "eraser", icon: ERASER, key: "e", title: say("Eraser") },
  { name: "polygon", icon: "polyline", key: "p", title: say("Polygon") },
  { name: "fill", icon: "format_color_fill", key: "f", title: say("Fill") },
  { name: "wand", icon: "auto_fix_high", key: "w", title: say("Magic wand") },
];
export const KEYS = [
  ["B E P F W", say("brush, eraser, polygon, fill, wand")],
  ["[ ]", say("smaller, larger brush")],
  ["T", say("next anomaly type")],
  ["S", say("suggest a mask")],
  ["Enter, Esc", say("close, drop a polygon or a suggestion")],
  [say("Drag, Shift click"), say("move or add, remove a corner of a polygon")],
  ["Ctrl Z", say("undo; with Shift redo")],
  ["H", say("hide, show the mask")],
  ["+ - 0 1", say("zoom; fit; 100 %")],
  [say("Space"), say("hold and drag to move")],
  [say("Arrows"), say("move the image")],
  ["D", say("tool down at the cross")],
  ["N A", say("normal, anomaly")],
  ["PgUp PgDn", say("previous, next image")],
  ["Ctrl S", say("save")],
];
const STEP = 60; // of the arrow keys, in pixels of the page

// methods of the painter
export const KEY_METHODS = {
  keyDown(event) {
    if (event.defaultPrevented || event.altKey || document.querySelector(".q-dialog, dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) return this.control(event, key);
    const typing = event.target.matches("input:not([type=radio]), textarea, select, [contenteditable]");
    if (typing) return;
    const onImage = event.target === document.body || event.target === this.$refs.stage;
    const does = this.keyed(key, event.shiftKey, onImage);
    if (!does) return;
    event.preventDefault();
    does();
  },
  control(event, key) {
    const does = { s: () => this.save(), z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() }[key];
    if (!does || (key !== "s" && event.target.matches("input:not([type=radio], [type=range])"))) return;
    event.preventDefault();
    does();
  },
  keyed(key, shift, onImage) {
    const tool = TOOLS.find((tool) => tool.key === key);
    if (tool) return this.mayPaint && (() => this.pick(tool.name));
    const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (onImage && arrows[key]) return () => this.panBy(...arrows[key]);
    const anywhere = {
      "[": () => this.resizeBrush(0.8),
      "]": () => this.resizeBrush(1.25),
      "+": () => this.zoomBy(1.25),
      "=": () => this.zoomBy(1.25),
      "-": () => this.zoomBy(0.8),
      0: () => this.fit(),
      1: () => this.zoomTo(1),
      t: () => this.nextType(shift ? -1 : 1),
      n: () => this.setLabel("normal"),
      a: () => this.setLabel("anomaly"),
      d: () => this.dab(),
      s: () => this.suggest(),
      h: () => (this.hidden = !this.hidden),
      PageDown: () => this.go(1),
      PageUp: () => this.go(-1),
      Escape: () => (this.suggested ? this.dropSuggestion() : this.dropPolygon()),
    };
    const onImageOnly = {
      Enter: () => (this.suggested ? this.acceptSuggestion() : this.closePolygon()),
      " ": () => (this.moving = true),
    };
    return anywhere[key] ?? (onImage ? onImageOnly[key] : undefined);
  },
  panBy(x, y) {
    if (!this.ready) return;
    this.crossed = true;
    this.view.pan(x * STEP * devicePixelRatio, y * STEP * devicePixelRatio);
  },
  dab() {
    const { canvas } = this.view;
    this.crossed = true;
    this.removing = false;
    if (this.ready && this.begin(this.view.inImage(canvas.width / 2, canvas.height / 2))) {
      if (this.cornered) this.endCorner();
      else this.finish();
    }
    this.sketch();
  },
};
