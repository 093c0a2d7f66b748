// One image in several panes, each with other layers above it; all are zoomed and moved together.
const MOST_ZOOM = 16;
const STEP = 1.5;

export default {
  props: { panes: Array },
  emits: ["step"],
  data: () => ({ scale: 1, x: 0, y: 0 }),
  template: `
    <div class="panes">
      <div class="panes-zoom" role="toolbar" :aria-label="say('Zoom')">
        <button type="button" :aria-label="say('Zoom out')" :title="say('Zoom out (-)')" @click="zoom(1 / step)"><q-icon name="zoom_out" size="20px" aria-hidden="true"></q-icon></button>
        <span class="quiet">{{ Math.round(100 * scale) }} %</span>
        <button type="button" :aria-label="say('Zoom in')" :title="say('Zoom in (+)')" @click="zoom(step)"><q-icon name="zoom_in" size="20px" aria-hidden="true"></q-icon></button>
        <button type="button" :aria-label="say('Fit')" :title="say('Fit (0)')" @click="fit"><q-icon name="fit_screen" size="20px" aria-hidden="true"></q-icon></button>
      </div>
      <div class="panes-row">
        <figure v-for="pane in panes" :key="pane.title" class="pane">
          <figcaption>{{ pane.title }}</figcaption>
          <div class="pane-view" :class="{ zoomed: scale > 1 }" @wheel.prevent="wheel" @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="up" @dblclick="fit">
            <div class="layers" :style="{ transform: 'translate(' + x + 'px,' + y + 'px) scale(' + scale + ')' }">
              <img v-for="layer in pane.layers" :key="layer.url" :src="layer.url" :class="layer.kind" :alt="layer.name || ''" draggable="false">
            </div>
          </div>
        </figure>
      </div>
    </div>`,
  computed: {
    step: () => STEP,
    shown() {
      return this.panes[0]?.layers[0]?.url;
    },
  },
  watch: {
    shown: "fit", // another image begins as a whole
  },
  created() {
    this.pointers = new Map(); // id -> where it is
  },
  mounted() {
    addEventListener("keydown", this.pressed);
  },
  unmounted() {
    removeEventListener("keydown", this.pressed);
  },
  methods: {
    pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=range]), select, textarea")) return;
      if (event.target.matches("input") && event.key.startsWith("Arrow")) return; // moves the slider
      const does = {
        ArrowLeft: () => this.$emit("step", -1),
        ArrowRight: () => this.$emit("step", 1),
        "+": () => this.zoom(STEP),
        "=": () => this.zoom(STEP),
        "-": () => this.zoom(1 / STEP),
        0: () => this.fit(),
      }[event.key];
      if (!does) return;
      event.preventDefault();
      does();
    },
    size() {
      const { width, height } = this.$el.querySelector(".pane-view").getBoundingClientRect();
      return [width, height];
    },
    fit() {
      [this.scale, this.x, this.y] = [1, 0, 0];
    },
    // what is at a point of a pane stays there
    zoom(factor, at) {
      const [width, height] = this.size();
      const [x, y] = at ?? [width / 2, height / 2];
      const scale = Math.min(MOST_ZOOM, Math.max(1, this.scale * factor));
      const shift = (from, here) => here - ((here - from) * scale) / this.scale;
      const moved = [shift(this.x, x), shift(this.y, y)];
      this.scale = scale;
      this.place(...moved);
    },
    // the image never leaves its pane
    place(x, y) {
      const [width, height] = this.size();
      this.x = Math.min(0, Math.max(width - width * this.scale, x));
      this.y = Math.min(0, Math.max(height - height * this.scale, y));
    },
    at(event) {
      const box = event.currentTarget.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    },
    wheel(event) {
      const pixels = event.deltaY * (event.deltaMode === 1 ? 30 : 1);
      this.zoom(Math.exp(-pixels / (event.ctrlKey ? 100 : 400)), this.at(event));
    },
    down(event) {
      event.currentTarget.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.at(event));
    },
    move(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = this.at(event);
      this.pointers.set(event.pointerId, now);
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) { // two fingers: their distance zooms, their middle moves
        const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
        this.zoom(distance(now) / distance(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
      }
      const share = other ? 0.5 : 1;
      this.place(this.x + share * (now[0] - before[0]), this.y + share * (now[1] - before[1]));
    },
    up(event) {
      this.pointers.delete(event.pointerId);
    },
  },
};
