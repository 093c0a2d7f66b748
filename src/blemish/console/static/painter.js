// The painter: a picture, tools, anomaly types. What is painted stays here until it is saved.
import { MaskBuffer } from "/console/static/mask_buffer.js";
import { MaskView, levelsOf } from "/console/static/mask_view.js";

// of the framework's icons none is an eraser
const ERASER = "M8.6 20H20v-2h-9.4zM15.1 3.9 20.1 8.9a1.5 1.5 0 0 1 0 2.1L11.2 20H6.8l-2.9-2.9a1.5 1.5 0 0 1 0-2.1L13 3.9a1.5 1.5 0 0 1 2.1 0zM9.3 10.5 5.3 14.5a1 1 0 0 0 0 1.4L7.4 18h2.8l3.1-3.1z";
const TOOLS = [
  { name: "brush", icon: "brush", key: "b", told: "Brush" },
  { name: "eraser", icon: ERASER, key: "e", told: "Eraser" },
  { name: "polygon", icon: "polyline", key: "p", told: "Polygon" },
  { name: "fill", icon: "format_color_fill", key: "f", told: "Fill" },
];
const KEYS = [
  ["B E P F", "brush, eraser, polygon, fill"],
  ["[ ]", "smaller, larger brush"],
  ["T", "next anomaly type"],
  ["Enter, Esc", "close, drop a polygon"],
  ["Ctrl Z", "undo; with Shift redo"],
  ["+ - 0 1", "zoom; fit; 100 %"],
  ["Space", "hold and drag to move"],
  ["Arrows", "move the picture"],
  ["D", "tool down at the cross"],
  ["N A", "normal, anomaly"],
  ["PgUp PgDn", "previous, next picture"],
  ["Ctrl S", "save"],
];
const STEP = 60; // of the arrow keys, in pixels of the page
const NEAR = 8; // of a polygon's first corner: to click there closes it, in pixels of the canvas
const MAX_SIZE = 512;

export default {
  template: `
    <section class="painter" aria-label="Painter">
      <header class="head">
        <h1 :title="picture.ref">{{ picture.name }}</h1>
        <span :class="['pill', label]">{{ label || "no label" }}</span>
        <span class="quiet">{{ picture.place }}</span>
        <span class="room"></span>
        <span role="status" class="quiet">{{ told }}</span>
        <a class="plain" :href="back">All pictures</a>
        <button :disabled="picture.first || loading" title="Previous picture (PageUp)" @click="go(-1)">Previous</button>
        <button :disabled="picture.last || loading" title="Next picture (PageDown)" @click="go(1)">Next</button>
        <button class="main" :disabled="!unsaved || saving || !mayChange" title="Save (Ctrl+S)" @click="save">Save</button>
      </header>
      <p v-if="problem" class="problem" role="alert">{{ problem }}</p>
      <p v-if="!mayChange" class="problem">Your policies let you look at this picture, not change it (UpdateDatasetEntries).</p>
      <div class="painter-body">
        <div class="painter-tools" role="toolbar" aria-label="Tools" aria-orientation="vertical">
          <button v-for="each in tools" :key="each.name" :disabled="!mayChange" :aria-pressed="tool === each.name"
            :aria-label="each.told" :title="each.told + ' (' + each.key.toUpperCase() + ')'" @click="pick(each.name)">
            <q-icon :name="each.icon" size="20px" aria-hidden="true"></q-icon></button>
          <hr>
          <button :disabled="!undoable" aria-label="Undo" title="Undo (Ctrl+Z)" @click="undo"><q-icon name="undo" size="20px" aria-hidden="true"></q-icon></button>
          <button :disabled="!redoable" aria-label="Redo" title="Redo (Ctrl+Shift+Z)" @click="redo"><q-icon name="redo" size="20px" aria-hidden="true"></q-icon></button>
          <hr>
          <button aria-label="Zoom in" title="Zoom in (+)" @click="zoomBy(1.25)"><q-icon name="zoom_in" size="20px" aria-hidden="true"></q-icon></button>
          <button aria-label="Zoom out" title="Zoom out (-)" @click="zoomBy(0.8)"><q-icon name="zoom_out" size="20px" aria-hidden="true"></q-icon></button>
          <button aria-label="Fit" title="Fit (0)" @click="fit"><q-icon name="fit_screen" size="20px" aria-hidden="true"></q-icon></button>
          <button aria-label="100 %" title="100 % (1)" class="words" @click="zoomTo(1)">1:1</button>
          <span class="quiet percent">{{ Math.round(percent) }} %</span>
        </div>
        <div class="painter-stage" ref="stage" tabindex="0" role="img" :data-tool="tool" :class="{ moving, ready }"
          :aria-label="'Picture ' + picture.name + ', ' + (label || 'no label')"
          @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="up" @pointerleave="leave"
          @dblclick="closePolygon" @contextmenu.prevent>
          <canvas ref="canvas"></canvas>
          <svg ref="sketch" aria-hidden="true">
            <polyline ref="polygonBelow" class="below"></polyline><polyline ref="polygonAbove"></polyline>
            <circle ref="ringBelow" class="below"></circle><circle ref="ringAbove"></circle>
            <path ref="cross"></path>
          </svg>
          <p v-if="loading" class="painter-wait">Opening the picture</p>
        </div>
        <aside class="painter-side">
          <fieldset class="segments" :disabled="!mayChange">
            <legend>This picture is</legend>
            <label v-for="each in ['normal', 'anomaly']" :key="each" :class="{ chosen: label === each }">
              <input type="radio" name="painter-label" :value="each" :checked="label === each" @change="say(each)">{{ each }}</label>
          </fieldset>
          <fieldset class="painter-types">
            <legend>Anomaly types</legend>
            <p v-if="!types.length" class="quiet">Name what can be wrong, then paint it.</p>
            <div v-for="each in types" :key="each.index" class="painter-type" :class="{ chosen: each.index === type }">
              <template v-if="renaming === each.index">
                <input :ref="focusIt" v-model="newName" :aria-label="'New name of ' + each.name" maxlength="100"
                  @keydown.enter.prevent="rename(each)" @keydown.escape.stop="renaming = 0" @blur="renaming = 0">
              </template>
              <template v-else>
                <label :title="each.name + ', on ' + each.used + ' pictures'"><input type="radio" name="painter-type" :checked="each.index === type" @change="choose(each.index)">
                  <span class="swatch" :style="{ background: each.color }"></span>
                  <span class="name">{{ each.name }}</span><span class="quiet">{{ each.used }}</span></label>
                <button :disabled="!mayChange" :aria-label="'Rename ' + each.name" title="Rename" @click="startRenaming(each)"><q-icon name="edit" size="16px" aria-hidden="true"></q-icon></button>
                <button :disabled="!mayChange || !!each.used || counts[each.index] > 0" :aria-label="'Delete ' + each.name"
                  :title="each.used || counts[each.index] > 0 ? 'It is in use, so it stays' : 'Delete'" @click="$emit('dropped', each.name)"><q-icon name="delete" size="16px" aria-hidden="true"></q-icon></button>
              </template>
            </div>
            <form class="line" @submit.prevent="add">
              <input ref="adding" v-model="addedName" :disabled="!mayChange" placeholder="Such as scratch" aria-label="Name of a new anomaly type" maxlength="100">
              <button :disabled="!addedName.trim() || !mayChange">Add</button>
            </form>
          </fieldset>
          <label class="slider"><span>Brush size <b>{{ size }} px</b></span>
            <input type="range" min="0" max="100" :value="sizeStep" aria-label="Brush size" :aria-valuetext="size + ' pixels'" @input="sizeFrom($event.target.value)"></label>
          <label class="slider"><span>Mask opacity <b>{{ opacity }} %</b></span>
            <input type="range" min="0" max="100" v-model.number="opacity" aria-label="Mask opacity"></label>
          <details><summary>Keys</summary>
            <dl class="painter-keys"><template v-for="[key, does] in keys" :key="key"><dt>{{ key }}</dt><dd>{{ does }}</dd></template></dl>
          </details>
        </aside>
      </div>
    </section>`,
  props: { picture: Object, types: Array, mayChange: Boolean, back: String },
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
    told() {
      if (this.saving) return "Saving";
      if (!this.ready) return "";
      return this.unsaved ? "Not saved yet" : "Saved";
    },
    sizeStep() {
      return Math.round((100 * Math.log(this.size || 1)) / Math.log(MAX_SIZE));
    },
  },
  watch: {
    "picture.ref"() {
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
    this.points = []; // of the polygon under way, in the picture
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
    if (this.picture.ref) this.load();
  },
  unmounted() {
    this.ends.abort();
    this.sizes.disconnect();
    this.view.stop();
  },
  methods: {
    async load() {
      const { ref, url, mask: maskUrl, label } = this.picture;
      this.loading = true;
      this.ready = false;
      this.problem = "";
      this.points = [];
      this.stroke = null;
      try {
        const [packed, blob] = await Promise.all([fetched(maskUrl), fetched(url)]);
        const [{ head, pixels }, levels] = await Promise.all([unpacked(packed), levelsOf(blob)]);
        if (this.picture.ref !== ref) return;
        if (levels[0].width !== head.width || levels[0].height !== head.height) {
          throw new Error("This browser turns the picture; a mask must lie on it as it is stored.");
        }
        this.open(head, pixels, levels);
        this.said = this.savedSaid = label;
        this.problem = head.problem ?? "";
        this.refresh();
        this.ready = true;
        this.$refs.stage.focus({ preventScroll: true });
      } catch (error) {
        if (this.picture.ref === ref) this.problem = reason(error);
      } finally {
        if (this.picture.ref === ref) this.loading = false;
      }
    },
    open(head, pixels, levels) {
      const numbers = new Uint8Array(256);
      head.types.forEach((name, i) => {
        const found = [...this.known.values()].find((each) => each.name === name);
        if (!found) throw new Error("The anomaly types have changed meanwhile. Reload the page.");
        numbers[i + 1] = found.index;
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
      for (const each of this.types) this.known.set(each.index, each);
      if (!this.types.some((each) => each.index === this.type)) this.type = this.types[0]?.index ?? 0;
      this.view.paintIn([...this.known.values()].map((each) => [each.index, each.color]));
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
      const types = [...this.known.values()].filter((each) => mask.counts[each.index]);
      this.saving = true;
      try {
        const body = await packed({ label: this.said, types }, mask.pixels);
        const answer = await fetch(this.picture.mask, { method: "PUT", body });
        if (!answer.ok) throw new Error(await answer.text());
        this.savedState = state;
        this.savedSaid = label;
        if (this.said !== label && this.label === label) this.said = label;
        this.problem = "";
        this.$emit("saved");
      } catch (error) {
        this.problem = `Not saved. ${reason(error)}`;
      } finally {
        this.saving = false;
        this.refresh();
      }
    },
    async go(by) {
      if (this.loading || (by < 0 ? this.picture.first : this.picture.last)) return;
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
      const at = this.types.findIndex((each) => each.index === this.type);
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
    // put the tool down at a point of the picture; tell whether a stroke has begun
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
      else if (event.button !== 0 || !this.begin(this.view.inPicture(...this.pointer))) return;
      event.preventDefault();
      this.$refs.stage.setPointerCapture(event.pointerId);
    },
    move(event) {
      this.pointer = this.at(event);
      if (this.dragged) {
        this.view.pan(this.pointer[0] - this.dragged[0], this.pointer[1] - this.dragged[1]);
        this.dragged = this.pointer;
      } else if (this.stroke) {
        const passed = event.getCoalescedEvents();
        for (const each of passed.length ? passed : [event]) {
          const point = this.view.inPicture(...this.at(each));
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
    // lines above the picture: the brush's ring, the polygon under way, the cross of the keyboard
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
    // keys
    keyDown(event) {
      if (event.defaultPrevented || event.altKey || document.querySelector(".q-dialog")) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (event.ctrlKey || event.metaKey) return this.control(event, key);
      const typing = event.target.matches("input:not([type=radio]), textarea, select, [contenteditable]");
      if (typing) return;
      const onPicture = event.target === document.body || event.target === this.$refs.stage;
      const does = this.keyed(key, event.shiftKey, onPicture);
      if (!does) return;
      event.preventDefault();
      does();
    },
    control(event, key) {
      const does = { s: () => this.save(), z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() }[key];
      if (!does || (key !== "s" && event.target.matches("input:not([type=radio])"))) return;
      event.preventDefault();
      does();
    },
    keyed(key, shift, onPicture) {
      const tool = TOOLS.find((each) => each.key === key);
      if (tool) return this.mayChange && (() => this.pick(tool.name));
      const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      if (onPicture && arrows[key]) return () => this.panBy(...arrows[key]);
      const anywhere = {
        "[": () => this.resizeBrush(0.8),
        "]": () => this.resizeBrush(1.25),
        "+": () => this.zoomBy(1.25),
        "=": () => this.zoomBy(1.25),
        "-": () => this.zoomBy(0.8),
        0: () => this.fit(),
        1: () => this.zoomTo(1),
        t: () => this.nextType(shift ? -1 : 1),
        n: () => this.say("normal"),
        a: () => this.say("anomaly"),
        d: () => this.dab(),
        PageDown: () => this.go(1),
        PageUp: () => this.go(-1),
        Escape: () => this.dropPolygon(),
      };
      const here = { Enter: () => this.closePolygon(), " ": () => (this.moving = true) };
      return anywhere[key] ?? (onPicture ? here[key] : undefined);
    },
    panBy(x, y) {
      if (!this.ready) return;
      this.crossed = true;
      this.view.pan(x * STEP * devicePixelRatio, y * STEP * devicePixelRatio);
    },
    dab() {
      const { canvas } = this.view;
      this.crossed = true;
      if (this.ready && this.begin(this.view.inPicture(canvas.width / 2, canvas.height / 2))) this.finish();
      this.sketch();
    },
    // types
    add() {
      this.$emit("added", this.addedName.trim());
      this.addedName = "";
      this.problem = "";
      this.$refs.stage.focus({ preventScroll: true });
    },
    startRenaming(each) {
      this.renaming = each.index;
      this.newName = each.name;
    },
    rename(each) {
      const name = this.newName.trim();
      this.renaming = 0;
      if (name && name !== each.name) this.$emit("renamed", [each.name, name]);
    },
    focusIt(input) {
      if (!input || document.activeElement === input) return;
      input.focus();
      input.select();
    },
  },
};

// browsers have no more than a TypeError for a server that does not answer
function reason(error) {
  return error instanceof TypeError ? "The server does not answer. Try again in a moment." : error.message;
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.blob();
}

// a JSON line, then a byte a pixel; compressed, as a mask shrinks to a hundredth
async function packed(head, pixels) {
  const plain = new Blob([`${JSON.stringify(head)}\n`, pixels]).stream();
  return new Response(plain.pipeThrough(new CompressionStream("gzip"))).blob();
}

async function unpacked(blob) {
  const plain = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  const data = new Uint8Array(await new Response(plain).arrayBuffer());
  const end = data.indexOf(10);
  const head = JSON.parse(new TextDecoder().decode(data.subarray(0, end)));
  const pixels = data.length > end + 1 ? data.slice(end + 1) : new Uint8Array(head.width * head.height);
  return { head, pixels };
}
