// The painter: an image, tools, anomaly types. What is painted stays here until it is saved.
import { MaskBuffer } from "/console/static/mask_buffer.js";
import { MaskView, levelsOf } from "/console/static/mask_view.js";
import { packed, unpacked } from "/console/static/mask_transfer.js";
import { KEYS, KEY_METHODS, TOOLS } from "/console/static/painter_keys.js";
import { TEMPLATE } from "/console/static/painter_template.js";
import { request } from "/console/static/server.js";

const NEAR = 8; // of a polygon's first corner: to click there closes it, in pixels of the canvas
const MAX_SIZE = 512;

export default {
  template: TEMPLATE,
  props: { image: Object, types: Array, mayChange: Boolean, back: String },
  data: () => ({
    tools: TOOLS,
    keys: KEYS,
    loading: true,
    ready: false,
    saving: false,
    problem: "",
    tool: "brush",
    type: 0,
    size: 0,
    opacity: 55,
    percent: 100,
    said: null,
    savedSaid: null,
    unsaved: false,
    undoable: false,
    redoable: false,
    painted: 0,
    counts: {},
    moving: false,
    renaming: 0,
    newName: "",
    addedName: "",
  }),
  computed: {
    label() {
      return this.painted ? "anomaly" : this.said;
    },
    progress() {
      if (this.saving) return "Saving";
      if (!this.ready) return "";
      return this.unsaved ? "Not saved yet" : "Saved";
    },
    sizeStep() {
      return Math.round((100 * Math.log(this.size || 1)) / Math.log(MAX_SIZE));
    },
  },
  watch: {
    "image.ref"() {
      this.load();
    },
    types() {
      this.know();
    },
    opacity(value) {
      this.view.opacity = value / 100;
      this.view.draw();
    },
    size() {
      this.sketch();
    },
  },
  created() {
    this.known = new Map(); // number -> type, of all that were ever offered: undo may bring it back
    this.mask = null;
    this.points = []; // of the polygon under way, in the image
    this.pointer = null; // where it is, in pixels of the canvas
    this.stroke = null;
    this.crossed = false;
  },
  mounted() {
    this.view = new MaskView(this.$refs.canvas);
    this.view.opacity = this.opacity / 100;
    this.view.drawn = () => this.sketch();
    this.ends = new AbortController();
    const options = { signal: this.ends.signal };
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.$refs.stage);
    this.$refs.stage.addEventListener("wheel", (e) => this.wheel(e), { ...options, passive: false });
    addEventListener("keydown", (e) => this.keyDown(e), options);
    addEventListener("keyup", (e) => e.key === " " && (this.moving = false), options);
    addEventListener("blur", () => (this.moving = false), options);
    addEventListener("beforeunload", (e) => this.unsaved && e.preventDefault(), options);
    this.resize();
    this.know();
    if (this.image.ref) this.load();
  },
  unmounted() {
    this.ends.abort();
    this.sizes.disconnect();
    this.view.stop();
  },
  methods: {
    async load() {
      const { ref, url, mask: maskUrl, label } = this.image;
      this.loading = true;
      this.ready = false;
      this.problem = "";
      this.points = [];
      this.stroke = null;
      try {
        const blobOf = async (address) => (await request(address)).blob();
        const [mask, blob] = await Promise.all([blobOf(maskUrl), blobOf(url)]);
        const [{ head, pixels }, levels] = await Promise.all([unpacked(mask), levelsOf(blob)]);
        if (this.image.ref !== ref) return;
        if (levels[0].width !== head.width || levels[0].height !== head.height) {
          throw new Error("This browser turns the image; a mask must lie on it as it is stored.");
        }
        this.open(head, pixels, levels);
        this.said = this.savedSaid = label;
        this.problem = head.problem ?? "";
        this.refresh();
        this.ready = true;
        this.$refs.stage.focus({ preventScroll: true });
      } catch (error) {
        if (this.image.ref === ref) this.problem = error.message;
      } finally {
        if (this.image.ref === ref) this.loading = false;
      }
    },
    open(head, pixels, levels) {
      const numbers = new Uint8Array(256);
      head.types.forEach((name, i) => {
        const type = [...this.known.values()].find((known) => known.name === name);
        if (!type) throw new Error("The anomaly types have changed meanwhile. Reload the page.");
        numbers[i + 1] = type.index;
      });
      if (numbers.some((number, i) => number && number !== i)) {
        for (let i = 0; i < pixels.length; i++) pixels[i] = numbers[pixels[i]];
      }
      this.view.stop();
      this.mask = new MaskBuffer(head.width, head.height, pixels, (...part) => this.view.touch(...part));
      this.savedState = this.mask.state;
      this.size ||= Math.max(3, Math.round(Math.max(head.width, head.height) / 60));
      this.view.show(this.mask, levels);
    },
    know() {
      for (const type of this.types) this.known.set(type.index, type);
      if (!this.types.some((type) => type.index === this.type)) this.type = this.types[0]?.index ?? 0;
      this.view.paintIn([...this.known.values()].map((type) => [type.index, type.color]));
    },
    // after a stroke: what the page says of the mask
    refresh() {
      const { mask } = this;
      this.painted = mask.painted;
      this.counts = Object.fromEntries([...this.known.keys()].map((i) => [i, mask.counts[i]]));
      this.undoable = mask.done.length > 0;
      this.redoable = mask.undone.length > 0;
      this.unsaved = mask.state !== this.savedState || this.said !== this.savedSaid;
    },
    async save() {
      await this.waiting;
      if (!this.unsaved || !this.ready || !this.mayChange) return;
      this.finish();
      this.waiting = this.put();
      await this.waiting;
    },
    async put() {
      const { mask } = this;
      const [state, label] = [mask.state, this.label];
      const types = [...this.known.values()].filter((type) => mask.counts[type.index]);
      this.saving = true;
      try {
        const body = await packed({ label: this.said, types }, mask.pixels);
        await request(this.image.mask, { method: "PUT", body });
        this.savedState = state;
        this.savedSaid = label;
        if (this.said !== label && this.label === label) this.said = label;
        this.problem = "";
        this.$emit("saved");
      } catch (error) {
        this.problem = `Not saved. ${error.message}`;
      } finally {
        this.saving = false;
        this.refresh();
      }
    },
    async go(by) {
      if (this.loading || (by < 0 ? this.image.first : this.image.last)) return;
      await this.save();
      if (this.loading || (this.ready && this.unsaved && this.mayChange)) return;
      this.loading = true;
      this.ready = false;
      this.$emit("go", by);
    },
    say(label) {
      if (!this.mayChange || !this.ready) return;
      this.said = label;
      if (label === "normal" && this.painted) {
        this.mask.clear();
        this.mask.end();
      }
      this.refresh();
    },
    // tools
    pick(tool) {
      if (tool !== "polygon") this.dropPolygon();
      this.tool = tool;
      this.sketch();
    },
    choose(index) {
      this.type = index;
      if (this.tool === "eraser") this.tool = "brush";
    },
    nextType(by) {
      const at = this.types.findIndex((type) => type.index === this.type);
      const next = this.types[(at + by + this.types.length) % this.types.length];
      if (next) this.choose(next.index);
    },
    undo() {
      if (this.points.length) {
        this.points.length -= 2;
        this.sketch();
      } else if (!this.stroke) {
        this.mask?.undo();
        this.refresh();
      }
    },
    redo() {
      if (this.stroke) return;
      this.mask?.redo();
      this.refresh();
    },
    closePolygon() {
      if (this.points.length >= 6 && this.type) {
        this.mask.polygon(this.points, this.type);
        this.mask.end();
        this.refresh();
      }
      this.dropPolygon();
    },
    dropPolygon() {
      this.points = [];
      this.sketch();
    },
    // put the tool down at a point of the image; tell whether a stroke has begun
    begin(point) {
      if (!this.mayChange || !this.ready) return false;
      if (this.tool !== "eraser" && !this.type) {
        this.problem = "Add an anomaly type first, such as scratch.";
        this.$refs.adding.focus();
        return false;
      }
      if (this.tool === "polygon") {
        const [x, y] = this.points;
        const near = Math.hypot(point[0] - x, point[1] - y) * this.view.scale < NEAR;
        if (near && this.points.length >= 6) this.closePolygon();
        else this.points.push(...point);
        this.sketch();
        return false;
      }
      if (this.tool === "fill") {
        const [x, y] = point.map(Math.floor);
        if (x < 0 || y < 0 || x >= this.mask.width || y >= this.mask.height) return false;
        this.mask.fill(x, y, this.type);
        this.finish();
        return false;
      }
      this.stroke = { last: point, type: this.tool === "eraser" ? 0 : this.type };
      this.mask.line(point, point, this.size, this.stroke.type);
      return true;
    },
    finish() {
      this.stroke = null;
      this.mask.end();
      this.refresh();
    },
    // the pointer
    at(event) {
      const box = this.$refs.stage.getBoundingClientRect();
      const ratio = this.$refs.canvas.width / box.width;
      return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
    },
    down(event) {
      if (!this.ready) return;
      this.$refs.stage.focus({ preventScroll: true });
      this.pointer = this.at(event);
      this.crossed = false;
      const moves = event.button === 1 || this.moving;
      if (moves) this.dragged = this.pointer;
      else if (event.button !== 0 || !this.begin(this.view.inImage(...this.pointer))) return;
      event.preventDefault();
      this.$refs.stage.setPointerCapture(event.pointerId);
    },
    move(event) {
      this.pointer = this.at(event);
      if (this.dragged) {
        this.view.pan(this.pointer[0] - this.dragged[0], this.pointer[1] - this.dragged[1]);
        this.dragged = this.pointer;
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
    up() {
      this.dragged = null;
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
      for (let i = 0; i < points.length; i += 2) line.push(onCanvas(points[i], points[i + 1]));
      if (line.length && tip) line.push(tip);
      if (line.length > 2) line.push(line[0]);
      for (const polygon of [this.$refs.polygonBelow, this.$refs.polygonAbove]) {
        polygon.setAttribute("points", line.map((point) => point.join()).join(" "));
      }
      const [x, y] = middle;
      this.$refs.cross.setAttribute("d", this.crossed ? `M${x - 12} ${y}h24M${x} ${y - 12}v24` : "");
    },
    ...KEY_METHODS,
    // types
    add() {
      this.$emit("added", this.addedName.trim());
      this.addedName = "";
      this.problem = "";
      this.$refs.stage.focus({ preventScroll: true });
    },
    startRenaming(type) {
      this.renaming = type.index;
      this.newName = type.name;
    },
    rename(type) {
      const name = this.newName.trim();
      this.renaming = 0;
      if (name && name !== type.name) this.$emit("renamed", [type.name, name]);
    },
    focusIt(input) {
      if (!input || document.activeElement === input) return;
      input.focus();
      input.select();
    },
  },
};
