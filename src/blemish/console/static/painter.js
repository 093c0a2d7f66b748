// The painter: an image, tools, anomaly types. What is painted stays in the browser until it is saved.
import { MaskBuffer } from "/console/static/mask_buffer.js";
import { MaskView, levelsOf } from "/console/static/mask_view.js";
import { packed, unpacked } from "/console/static/mask_transfer.js";
import { CANVAS_METHODS, MAX_SIZE } from "/console/static/painter_canvas.js";
import { CONFLICT_METHODS } from "/console/static/painter_conflicts.js";
import { dropDraft, findDraft, putDraft, putDraftAtOnce } from "/console/static/painter_drafts.js";
import { KEYS, KEY_METHODS, TOOLS } from "/console/static/painter_keys.js";
import { POLYGON_METHODS } from "/console/static/painter_polygon.js";
import { SUGGESTION_METHODS } from "/console/static/painter_suggestions.js";
import { TEMPLATE } from "/console/static/painter_template.js";
import { TOUCH_METHODS } from "/console/static/painter_touch.js";
import { TYPE_METHODS } from "/console/static/painter_types.js";
import { WAND_METHODS } from "/console/static/painter_wand.js";
import { request } from "/console/static/server.js";

const DRAFT_MS = 300; // after the last stroke, when a draft of it is stored
const ASIDE_OPACITY = 0.35; // of a mask that does not count, beside the one that people set

export default {
  template: TEMPLATE,
  props: { source: String, typesUrl: String, start: String, query: Object, mayChange: Boolean, back: String },
  data: () => ({
    tools: TOOLS,
    keys: KEYS,
    image: {},
    types: [],
    loading: true,
    ready: false,
    saving: false,
    problem: "",
    note: "",
    conflict: "", // which side is shown, "mine" or "theirs", while somebody has to decide
    suggesting: false,
    suggested: "", // version of the model whose suggestion is shown
    tool: "brush",
    type: 0,
    size: 0,
    opacity: 55,
    hidden: false,
    tolerance: 24, // of the wand, in levels of 255
    brightness: 100,
    contrast: 100,
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
    // paint makes an image an anomaly, unless a person says that it is normal
    label() {
      return this.painted && this.said !== "normal" ? "anomaly" : this.said;
    },
    isAside() {
      return this.painted > 0 && this.label !== "anomaly";
    },
    mayPaint() {
      return this.mayChange && !this.conflict && !this.suggested;
    },
    stageTitle() {
      return say("Image {name}, {label}", { name: this.image.name, label: say(this.label || "no label") });
    },
    progress() {
      if (this.saving) return "Saving";
      if (!this.ready) return "";
      return this.unsaved ? say("Not saved yet") : say("Saved");
    },
    sizeStep() {
      return Math.round((100 * Math.log(this.size || 1)) / Math.log(MAX_SIZE));
    },
  },
  watch: {
    opacity: "showOpacity",
    isAside: "showOpacity",
    hidden: "showOpacity",
    tolerance: "paintAlikeAgain",
    brightness: "showLight",
    contrast: "showLight",
    size() {
      this.sketch();
    },
  },
  created() {
    this.known = new Map(); // number -> type, of all that were ever offered: undo may bring it back
    this.numbers = new Map(); // name of a type -> its number in the mask
    this.viewName = ""; // the server's name for the order of the images
    this.mask = null;
    this.points = []; // of the polygon under way, in the image
    this.shape = null; // the polygon that was closed last
    this.cornered = null; // the corner that is dragged: {corner, points, moved}
    this.removing = false; // whether a press on a corner removes it
    this.active = null; // id of the pointer that paints or moves
    this.fingers = new Map();
    this.pinching = false;
    this.pointer = null; // where it is, in pixels of the canvas
    this.stroke = null;
    this.crossed = false;
    this.agreed = false; // that the mask is dropped
    this.wanded = null; // where the wand was put down last, and the state that it made
    this.wandImage = null;
  },
  mounted() {
    this.view = new MaskView(this.$refs.canvas);
    this.view.drawn = () => this.sketch();
    this.showOpacity();
    this.ends = new AbortController();
    const options = { signal: this.ends.signal };
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.$refs.stage);
    this.$refs.stage.addEventListener("wheel", (e) => this.wheel(e), { ...options, passive: false });
    addEventListener("keydown", (e) => this.keyDown(e), options);
    addEventListener("keyup", (e) => e.key === " " && (this.moving = false), options);
    addEventListener("blur", () => (this.moving = false), options);
    for (const name of ["pagehide", "submit"]) addEventListener(name, () => this.keepDraftNow(), options); // signing out is a form
    const hide = () => document.visibilityState === "hidden" && this.keepDraftNow();
    document.addEventListener("visibilitychange", hide, options);
    this.resize();
    this.visit(this.start, 0);
  },
  unmounted() {
    this.ends.abort();
    this.sizes.disconnect();
    this.view.stop();
  },
  methods: {
    // show the image that is `step` images after another one
    async visit(ref, step) {
      Object.assign(this, { loading: true, ready: false, problem: "", note: "", conflict: "" });
      try {
        const parameters = new URLSearchParams({ ...this.query, ref, step, view: this.viewName });
        const answer = await (await request(`${this.source}?${parameters}`)).json();
        this.viewName = answer.view;
        this.image = answer.image;
        this.offer(answer.types);
        const address = new URLSearchParams(location.search);
        if (step) address.set("ref", answer.image.ref);
        if (step) history.replaceState(history.state, "", `${location.pathname}?${address}`);
        await this.load();
      } catch (error) {
        this.problem = error.message;
      } finally {
        this.loading = false;
      }
    },
    async load() {
      this.dropPolygon();
      this.stroke = null;
      this.suggested = "";
      this.wandImage = null;
      this.agreed = false;
      const blobOf = async (address) => (await request(address)).blob();
      const [stored, blob] = await Promise.all([this.fetchMask(), blobOf(this.image.url)]);
      const { head } = stored;
      const levels = await levelsOf(blob, head.orientation);
      if (levels[0].width !== head.width || levels[0].height !== head.height) {
        throw new Error(say("This browser shows the image in another size than it is stored in."));
      }
      this.size ||= Math.max(3, Math.round(Math.max(head.width, head.height) / 60));
      this.view.stop();
      this.mask = this.bufferOf(stored);
      this.view.show(this.mask, levels);
      this.settle(stored);
      await this.restore(stored);
      this.ready = true;
      this.$refs.stage.focus({ preventScroll: true });
    },
    // the stored mask: {head, pixels}, its pixels in the numbers of this page
    async fetchMask() {
      return this.translated(await unpacked(await (await request(this.image.mask)).blob()));
    },
    translated({ head, pixels }, names = head.types.map((type, row) => [row + 1, type])) {
      const numbers = new Uint8Array(256);
      for (const [index, type] of names) numbers[index] = this.numberOf(type);
      for (let i = 0; i < pixels.length; i++) pixels[i] = numbers[pixels[i]];
      return { head, pixels };
    },
    bufferOf({ head, pixels }) {
      return new MaskBuffer(head.width, head.height, pixels, (...part) => this.view.touch(...part));
    },
    // what is on the screen is what the server has
    settle({ head }) {
      this.version = head.version;
      this.savedState = this.mask.state;
      this.storedPaint = this.mask.painted;
      this.said = this.savedSaid = head.label;
      this.problem = head.problem ?? "";
      this.refresh();
    },
    // take up what was painted before a reload or a restart
    async restore(stored) {
      const draft = await findDraft(this.image.mask);
      if (!draft || !this.mayChange) return;
      const { head, pixels } = draft.body ? await unpacked(draft.body) : draft;
      // older drafts have no size, and lie on the image as it is stored
      if (head.width === undefined ? stored.head.orientation > 1 : head.width !== stored.head.width) return;
      const mine = this.translated({ head, pixels }, head.types.map((type) => [type.index, type]));
      if (draft.version !== stored.head.version) return this.decide(mine, stored);
      this.replace(mine.pixels);
      this.said = head.label;
      this.note = say("Restored what was painted here and not saved.");
      this.refresh();
    },
    replace(pixels) {
      this.mask = this.bufferOf({ head: this.mask, pixels });
      this.view.replace(this.mask);
      this.savedState = null;
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
    changed() {
      this.refresh();
      this.keepDraft();
    },
    keepDraft() {
      clearTimeout(this.drafting);
      this.drafting = null;
      if (this.conflict) return;
      const { mask: address } = this.image;
      if (!this.unsaved) return void dropDraft(address);
      const version = this.version;
      const drafting = setTimeout(async () => {
        const body = await this.body();
        if (this.drafting !== drafting) return; // there is a newer one, or none is needed
        if (this.unsaved && this.image.mask === address) await putDraft(address, { version, body });
        if (this.drafting === drafting) this.drafting = null;
      }, DRAFT_MS);
      this.drafting = drafting;
    },
    // the page may be left before the draft of the last stroke is stored
    keepDraftNow() {
      if (!this.drafting) return;
      clearTimeout(this.drafting);
      this.drafting = null;
      const { version, mask } = this;
      const head = JSON.parse(JSON.stringify(this.head())); // without what Vue wraps
      putDraftAtOnce(this.image.mask, { version, head, pixels: mask.pixels });
    },
    // what is sent: the label, the types in use, the pixels
    body() {
      return packed(this.head(), this.mask.pixels);
    },
    head() {
      const { width, height, counts } = this.mask;
      const types = [...this.known.values()].filter((type) => counts[type.index]);
      return { label: this.said, set_aside: this.isAside, types, width, height };
    },
    async save() {
      await this.waiting;
      if (!this.unsaved || !this.ready || !this.mayPaint) return;
      this.finish();
      if (this.storedPaint && !this.painted && !this.agreed) return void this.$refs.sure.showModal();
      this.waiting = this.put();
      await this.waiting;
    },
    async put() {
      const { mask } = this;
      const [state, label] = [mask.state, this.label];
      this.saving = true;
      try {
        const headers = { "If-Match": this.version };
        const answer = await request(this.image.mask, { method: "PUT", body: await this.body(), headers });
        this.version = (await answer.json()).version;
        this.savedState = state;
        this.savedSaid = label;
        this.storedPaint = mask.painted;
        this.agreed = false;
        if (this.said !== label && this.label === label) this.said = label;
        this.problem = this.note = "";
        this.refreshTypes();
      } catch (error) {
        if (error.status === 409) await this.decideAgain(error);
        else this.problem = say("Not saved. {problem}", { problem: error.message });
      } finally {
        this.saving = false;
        this.changed();
      }
    },
    async go(by) {
      if (this.loading || (by < 0 ? this.image.first : this.image.last)) return;
      this.dropSuggestion();
      await this.save();
      if (this.loading || (this.ready && this.unsaved && this.mayChange)) return;
      await this.visit(this.image.ref, by);
    },
    setLabel(label) {
      if (!this.mayPaint || !this.ready) return;
      this.said = label;
      this.changed();
    },
    eraseAll() {
      this.mask.clear();
      this.finish();
    },
    agree() {
      this.agreed = true;
      this.$refs.sure.close();
      this.save();
    },
    showOpacity() {
      this.view.opacity = this.hidden ? 0 : (this.opacity / 100) * (this.isAside ? ASIDE_OPACITY : 1);
      this.view.draw();
    },
    showLight() {
      const changed = this.brightness !== 100 || this.contrast !== 100;
      this.view.filter = changed ? `brightness(${this.brightness}%) contrast(${this.contrast}%)` : "none";
      this.view.draw();
    },
    // tools
    pick(tool) {
      if (tool !== "polygon") this.dropPolygon();
      this.tool = tool;
      this.sketch();
    },
    undo() {
      if (this.suggested) {
        this.dropSuggestion();
      } else if (this.points.length) {
        this.points.length -= 2;
        this.sketch();
      } else if (!this.stroke) {
        this.mask?.undo();
        this.changed();
      }
    },
    redo() {
      if (this.stroke || this.suggested) return;
      this.mask?.redo();
      this.changed();
    },
    askForType() {
      this.problem = say("Name what you paint first: add an anomaly type, such as scratch.");
    },
    // put the tool down at a point of the image; tell whether a stroke has begun
    begin(point) {
      if (!this.mayPaint || !this.ready) return false;
      this.hidden = false;
      if (this.tool !== "eraser" && !this.type) {
        this.askForType();
        return false;
      }
      if (this.tool === "polygon") return this.beginCorner(point, this.removing);
      if (this.tool === "fill" || this.tool === "wand") {
        const [x, y] = point.map(Math.floor);
        if (x < 0 || y < 0 || x >= this.mask.width || y >= this.mask.height) return false;
        if (this.tool === "wand") {
          this.paintAlike(x, y);
        } else {
          this.mask.fill(x, y, this.type);
          this.finish();
        }
        return false;
      }
      this.stroke = { last: point, type: this.tool === "eraser" ? 0 : this.type };
      this.mask.line(point, point, this.size, this.stroke.type);
      return true;
    },
    finish() {
      const before = this.mask.state;
      this.stroke = null;
      this.mask.end();
      const painted = this.mask.state !== before && this.mask.painted;
      if (painted && this.said === "normal") this.said = "anomaly";
      this.changed();
    },
    ...CANVAS_METHODS,
    ...KEY_METHODS,
    ...POLYGON_METHODS,
    ...TOUCH_METHODS,
    ...TYPE_METHODS,
    ...CONFLICT_METHODS,
    ...SUGGESTION_METHODS,
    ...WAND_METHODS,
  },
};
