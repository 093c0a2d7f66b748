// The gallery: thousands of images, of which those in sight alone are in the document.
// A position is the place of an image in the order that the server froze for this page.
import { Changes } from "/console/static/gallery_changes.js";
import { BY_MODEL, RANKING } from "/console/static/gallery_ranking.js";
import { SELECTION } from "/console/static/gallery_selection.js";
import { TEMPLATE } from "/console/static/gallery_template.js";
import { typesOf } from "/console/static/gallery_types.js";
import { request, sendJson } from "/console/static/server.js";

const CELL = 156; // px, the least width of a cell
const ROW = 196; // px, of a cell with its caption
const GAP = 8; // px
const CHUNK = 200; // entries asked for at once
const SPARE_ROWS = 1; // drawn above and below what is in sight
const SETTLE_MS = 120; // after which a fast scroll counts as ended
const TYPING_MS = 250; // after which a search counts as typed
const MOST_REFS = 500; // images that a change names one by one
const SAVED_MS = 2500; // for which "Saved" is shown

const NUMBERS = new Intl.NumberFormat(LOCALE);
const CHIPS = [
  ["all", say("All")],
  ["unlabelled", say("Unlabelled")],
  ["labelled", say("Labelled")],
  ["normal", say("Normal")],
  ["anomaly", say("Anomaly")],
];

export default {
  template: TEMPLATE,
  props: { source: String, painter: String, training: String, labels: Boolean, removes: Boolean },
  data() {
    const parameters = new URLSearchParams(location.search);
    return {
      chips: CHIPS,
      filter: parameters.get("filter") || "all",
      type: parameters.get("type") || "",
      text: parameters.get("q") || "",
      sort: parameters.get("sort") || "name",
      counts: {},
      missing: [],
      total: null,
      cells: [],
      room: 0,
      cursor: 0,
      selectedCount: 0,
      undoable: 0,
      saving: false,
      saved: false,
      problem: "",
      ranking: null,
    };
  },
  computed: {
    typeNames() {
      const names = Object.keys(this.counts.types ?? {});
      return this.type && !names.includes(this.type) ? [this.type, ...names] : names;
    },
  },
  created() {
    this.view = ""; // the server's name for the order that is shown
    this.chunks = new Map(); // number -> entries, or null while they are asked for
    this.selected = new Set(); // positions
    this.anchor = 0; // where a range begins
    this.changes = new Changes({
      request: this.request,
      changed: this.showState,
      saved: this.settle,
      standing: this.stand,
      stale: (all) => (all ? this.ask() : this.refresh()),
    }, this.source);
    this.undoable = this.changes.done.length;
    this.drawn = new Set(); // positions whose images are shown
    this.top = 0;
    this.fast = false;
    this.columns = 1;
    this.asking = 0; // counts the views asked for
    this.position = history.state?.gallery; // where somebody was who reloads, or comes back
  },
  mounted() {
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.$refs.view);
    document.addEventListener("keydown", this.pressedAnywhere);
    window.addEventListener("beforeunload", this.leaving);
    this.ask();
    this.lookAtRanking();
    this.$nextTick(() => this.$refs.view?.focus({ preventScroll: true }));
  },
  unmounted() {
    this.watcher.disconnect();
    clearTimeout(this.ranked);
    document.removeEventListener("keydown", this.pressedAnywhere);
    window.removeEventListener("beforeunload", this.leaving);
  },
  methods: {
    // --- what is shown ---
    show(filter) {
      this.filter = filter;
      this.ask();
    },
    showEverything() {
      [this.filter, this.type, this.text] = ["all", "", ""];
      this.ask();
    },
    sorted() {
      this.ask();
      this.lookAtRanking();
    },
    typed() {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.ask(), TYPING_MS);
    },
    query() {
      const query = { filter: this.filter, type: this.type, q: this.text, sort: this.sort };
      const plain = { filter: "all", type: "", q: "", sort: "name" };
      return Object.fromEntries(Object.entries(query).filter(([name, value]) => value !== plain[name]));
    },
    async ask() {
      const asking = ++this.asking;
      this.remember();
      await this.changes.idle(); // what is shown next must know what was labelled
      if (asking !== this.asking) return;
      this.view = "";
      const first = await this.fetched(0);
      if (asking !== this.asking || !first) return;
      this.chunks.clear();
      this.renew(first, 0);
      this.draw();
      await this.$nextTick(); // then the room is as high as the images need
      this.cursor = Math.min(this.position?.cursor ?? 0, Math.max(0, this.total - 1));
      this.$refs.view.scrollTop = this.position?.top ?? 0;
      this.top = this.$refs.view.scrollTop;
      this.position = undefined;
      this.draw();
    },
    renew(answer, chunk) {
      if (answer.view !== this.view) {
        const restarted = this.view !== ""; // the server forgot the order, and made it anew
        this.view = answer.view;
        this.chunks.clear();
        this.drawn.clear();
        this.total = answer.total;
        this.cursor = this.anchor = restarted ? Math.min(this.cursor, Math.max(0, this.total - 1)) : 0;
        this.clear();
      }
      this.stand(answer);
      this.chunks.set(chunk, answer.entries);
    },
    stand(answer) {
      if (answer.counts) [this.counts, this.missing] = [answer.counts, answer.missing];
    },
    remember() {
      const parameters = new URLSearchParams(location.search);
      for (const name of ["filter", "type", "q", "sort"]) parameters.delete(name);
      for (const [name, value] of Object.entries(this.query())) parameters.set(name, value);
      const search = parameters.toString();
      history.replaceState(history.state, "", location.pathname + (search ? "?" + search : ""));
    },
    async fetched(chunk) {
      const parameters = { ...this.query(), view: this.view, offset: chunk * CHUNK, limit: CHUNK };
      try {
        return await this.request("?" + new URLSearchParams(parameters));
      } catch (error) {
        this.problem = error.message;
        return null;
      }
    },
    async load(chunk) {
      if (this.chunks.has(chunk)) return;
      const asking = this.asking;
      this.chunks.set(chunk, null);
      const answer = await this.fetched(chunk);
      if (asking !== this.asking) return;
      if (answer) this.renew(answer, chunk);
      else this.chunks.delete(chunk);
      this.draw();
    },
    async refresh() {
      // reads anew what is in sight; the rest when it comes into sight
      const asking = this.asking;
      const { first, last } = this.sight();
      const near = [...new Set([Math.floor(first / CHUNK), Math.floor(Math.max(first, last) / CHUNK)])];
      const answers = await Promise.all(near.map((chunk) => this.fetched(chunk)));
      if (asking !== this.asking) return;
      for (const chunk of [...this.chunks.keys()]) if (!near.includes(chunk)) this.chunks.delete(chunk);
      answers.forEach((answer, number) => answer && this.renew(answer, near[number]));
      this.draw();
    },
    async request(rest, body) {
      try {
        const url = this.source + rest;
        return await (await (body ? sendJson(url, body) : request(url))).json();
      } catch (error) {
        if (error.status === 401) location.reload(); // shows where to sign in
        throw error;
      }
    },

    // --- drawing ---
    entry(index) {
      return this.chunks.get(Math.floor(index / CHUNK))?.[index % CHUNK];
    },
    sight() {
      const height = this.$refs.view.clientHeight;
      const row = ROW + GAP;
      const first = Math.max(0, Math.floor(this.top / row) - SPARE_ROWS) * this.columns;
      const last = (Math.ceil((this.top + height) / row) + SPARE_ROWS) * this.columns - 1;
      return { first, last: Math.min(last, (this.total ?? 0) - 1) };
    },
    draw() {
      const view = this.$refs.view;
      if (!view || this.total === null) return;
      const wide = view.clientWidth - 2 * GAP;
      this.columns = Math.max(1, Math.floor((wide + GAP) / (CELL + GAP)));
      const width = Math.floor((wide + GAP) / this.columns) - GAP;
      this.room = Math.ceil(this.total / this.columns) * (ROW + GAP) + GAP;
      const { first, last } = this.sight();
      if (!this.fast && last >= first) {
        for (let chunk = Math.floor(first / CHUNK); chunk <= Math.floor(last / CHUNK); chunk++) this.load(chunk);
      }
      const cells = [];
      const drawn = new Set();
      for (let index = first; index <= last; index++) cells.push(this.cell(index, width, drawn));
      this.drawn = drawn;
      this.cells = Object.freeze(cells);
    },
    cell(index, width, drawn) {
      const entry = this.entry(index);
      const label = this.labelOf(index);
      const selected = this.selected.has(index);
      const shown = entry && !entry.broken && (!this.fast || this.drawn.has(index));
      if (shown) drawn.add(index);
      const going = this.changes.removes(this.view, index);
      const x = GAP + (index % this.columns) * (width + GAP);
      const y = GAP + Math.floor(index / this.columns) * (ROW + GAP);
      const types = label === "anomaly" && entry ? typesOf(entry, this.counts) : "";
      const scored = typeof entry?.score === "number" && BY_MODEL.includes(this.sort);
      return Object.freeze({
        index,
        selected,
        name: entry?.name ?? "",
        title: entry ? [entry.name, say(label ?? "no label"), types].filter(Boolean).join(", ") : say("loading"),
        source: shown ? entry.thumbnail : "",
        mask: shown && label === "anomaly" ? entry.mask : "",
        lost: entry === null ? say("Removed") : entry?.broken ? say("Cannot be shown") : "",
        extra: scored ? numberText(entry.score, 2) : types,
        classes: ["cell", label ?? "open", { selected, going, current: index === this.cursor }],
        style: { width: width + "px", height: ROW + "px", transform: "translate(" + x + "px," + y + "px)" },
      });
    },
    broken(index) {
      const entry = this.entry(index);
      if (entry) entry.broken = true;
      this.draw();
    },
    scrolled() {
      const top = this.$refs.view.scrollTop;
      if (Math.abs(top - this.top) > this.$refs.view.clientHeight * 0.75) this.fast = true;
      this.top = top;
      clearTimeout(this.settling);
      this.settling = setTimeout(() => {
        this.fast = false;
        this.draw();
      }, SETTLE_MS);
      if (!this.frame) {
        this.frame = requestAnimationFrame(() => {
          this.frame = 0;
          this.draw();
        });
      }
    },
    number(value) {
      return value === undefined || value === null ? "" : NUMBERS.format(value);
    },

    // --- selecting ---
    ...SELECTION,
    ...RANKING,
    selectPage() {
      const row = ROW + GAP;
      const first = Math.ceil((this.top - ROW / 2) / row) * this.columns;
      const last = Math.floor((this.top + this.$refs.view.clientHeight - ROW / 2) / row) * this.columns - 1;
      const end = Math.min(Math.max(last, first), (this.total ?? 0) - 1);
      this.select(Array.from({ length: Math.max(0, end - first + 1) }, (_, step) => first + step));
    },
    opened(event) {
      const index = this.indexAt(event);
      if (index !== null) this.open(index);
    },
    async open(index) {
      const entry = this.entry(index);
      if (!entry) return;
      await this.changes.idle();
      const shown = new URLSearchParams(this.query());
      location.href = `${this.painter}${encodeURIComponent(entry.ref)}&${shown}`.replace(/&$/, "");
    },
    go(index, ranging) {
      if (!this.total) return;
      const to = Math.max(0, Math.min(this.total - 1, index));
      if (ranging && !this.selected.size) this.anchor = this.cursor;
      this.cursor = to;
      if (ranging) this.range(to);
      else if (this.selected.size <= 1) this.select([]);
      this.reveal();
    },
    reveal() {
      const view = this.$refs.view;
      const y = GAP + Math.floor(this.cursor / this.columns) * (ROW + GAP);
      if (y < view.scrollTop) view.scrollTop = y - GAP;
      else if (y + ROW > view.scrollTop + view.clientHeight) view.scrollTop = y + ROW + GAP - view.clientHeight;
      this.top = view.scrollTop;
      this.draw();
    },

    // --- keys ---
    pressed(event) {
      const page = Math.max(1, Math.floor(this.$refs.view.clientHeight / (ROW + GAP))) * this.columns;
      const ways = {
        ArrowLeft: this.cursor - 1,
        ArrowRight: this.cursor + 1,
        ArrowUp: this.cursor - this.columns < 0 ? this.cursor : this.cursor - this.columns,
        ArrowDown: this.cursor + this.columns >= (this.total ?? 0) ? this.cursor : this.cursor + this.columns,
        PageUp: this.cursor - page,
        PageDown: this.cursor + page,
        Home: 0,
        End: (this.total ?? 0) - 1,
      };
      if (event.altKey) return;
      if (event.key in ways) this.go(ways[event.key], event.shiftKey);
      else if (event.key === " ") this.toggle(this.cursor);
      else if (event.key === "Enter") this.open(this.cursor);
      else if (event.key === "Escape") this.clear();
      else return;
      event.preventDefault();
    },
    pressedAnywhere(event) {
      const typing = event.target.closest?.("input, select, textarea, [contenteditable], dialog");
      if (typing || event.altKey || document.querySelector("dialog[open], .q-dialog")) return;
      const key = event.key.toLowerCase();
      if (event.ctrlKey || event.metaKey) {
        if (key === "z") this.undo();
        else if (key === "a") this.selectAll();
        else return;
      } else if (key === "n") this.label("normal");
      else if (key === "a") this.label("anomaly");
      else if (key === "u") this.label(null);
      else if (key === "delete" && this.removes && this.selectedCount) this.$refs.sure.showModal();
      else if (event.target === document.body) return this.pressed(event); // nothing has the focus
      else return;
      event.preventDefault();
    },
    leaving(event) {
      const gallery = { top: this.top, cursor: this.cursor };
      history.replaceState({ ...history.state, gallery }, "");
      if (this.changes.pending.length) event.preventDefault();
    },

    // --- changing ---
    labelOf(index) {
      return this.changes.labelOf(this.view, index, this.entry(index)?.label ?? null);
    },
    label(label) {
      if (!this.labels || !this.total) return;
      const one = this.selected.size <= 1;
      const indexes = this.selected.size ? this.selected : new Set([this.cursor]);
      const before = new Map();
      for (const index of indexes) if (this.entry(index)) before.set(index, this.labelOf(index));
      this.changes.add({ kind: "label", label, indexes, before, refs: this.refsOf(before, indexes), view: this.view });
      if (!one) return;
      [this.cursor] = indexes;
      this.select([]);
      this.go(this.cursor + 1, false);
    },
    // address -> label before, of images that are all known and not too many
    refsOf(before, indexes) {
      if (before.size < indexes.size || before.size > MOST_REFS) return null;
      return Object.fromEntries([...before].map(([index, label]) => [this.entry(index).ref, label]));
    },
    remove() {
      this.$refs.sure.close();
      this.changes.add({ kind: "remove", indexes: this.selected, view: this.view });
      this.clear();
    },
    undo() {
      this.changes.undo();
    },
    showState() {
      const { saving, problem, done } = this.changes;
      if (this.saving && !saving) {
        this.saved = !problem;
        clearTimeout(this.telling);
        this.telling = setTimeout(() => (this.saved = false), SAVED_MS);
      }
      [this.saving, this.undoable] = [saving, done.length];
      if (saving || problem) this.problem = problem;
      this.draw();
    },
    settle(change) {
      if (change.view !== this.view || change.kind === "remove") return;
      for (const index of change.indexes) {
        const entry = this.entry(index);
        if (!entry) continue;
        if (change.kind === "label") entry.label = change.label;
        else if (change.of.before?.has(index)) entry.label = change.of.before.get(index);
        if (entry.label !== "anomaly") entry.types = [];
      }
    },
  },
};
