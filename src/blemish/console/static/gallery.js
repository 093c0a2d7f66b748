// The gallery: thousands of pictures, of which those in sight alone are in the document.
// What a person does shows at once; it is sent in the background, one request at a time, and taken
// back if the server refuses it.

const CELL = 156; // px, the least width of a cell
const ROW = 196; // px, of a cell with its caption
const GAP = 8; // px
const CHUNK = 200; // entries asked for at once
const SPARE_ROWS = 1; // drawn above and below what is in sight
const SETTLE_MS = 120; // after which a fast scroll counts as ended
const TYPING_MS = 250; // after which a search counts as typed
const SAVED_MS = 2500; // for which "Saved" is shown

const NUMBERS = new Intl.NumberFormat("en-US");
const CHIPS = [
  ["all", "All"],
  ["unlabelled", "Unlabelled"],
  ["labelled", "Labelled"],
  ["normal", "Normal"],
  ["anomaly", "Anomaly"],
];

const TEMPLATE = `
<div class="gallery">
  <div class="gallery-line">
    <div class="gallery-chips" role="group" aria-label="Show">
      <button v-for="[name, told] in chips" :key="name" type="button" class="chip" :data-filter="name"
        :aria-pressed="filter === name" @click="show(name)">
        {{ told }} <span class="count">{{ number(counts[name]) }}</span>
      </button>
    </div>
    <select v-if="typeNames.length" aria-label="Anomaly type" v-model="type" @change="ask">
      <option value="">Any anomaly type</option>
      <option v-for="name in typeNames" :key="name" :value="name">{{ name }} ({{ counts.types?.[name] ?? 0 }})</option>
    </select>
    <div class="room"></div>
    <input type="search" aria-label="Search by name" placeholder="Search by name" v-model="text" @input="typed">
    <select aria-label="Sort by" v-model="sort" @change="ask">
      <option value="name">By name</option>
      <option value="date">Newest label first</option>
      <option value="score">Most anomalous first</option>
    </select>
  </div>
  <div class="gallery-line">
    <button type="button" class="act normal" :disabled="!labels" :title="why(labels)" @click="label('normal')">Normal <kbd>N</kbd></button>
    <button type="button" class="act anomaly" :disabled="!labels" :title="why(labels)" @click="label('anomaly')">Anomaly <kbd>A</kbd></button>
    <button type="button" class="act" :disabled="!labels" :title="why(labels)" @click="label(null)">No label <kbd>U</kbd></button>
    <button type="button" class="act" :disabled="!undoable" title="Ctrl+Z" @click="undo">Undo</button>
    <span class="split"></span>
    <button type="button" class="act" @click="selectPage">Select page</button>
    <button type="button" class="act" @click="selectAll">Select all {{ number(total) }}</button>
    <button type="button" class="act" :disabled="!chosen" @click="clear">Clear</button>
    <span class="chosen" aria-live="polite">{{ chosen ? number(chosen) + " selected" : "" }}</span>
    <div class="room"></div>
    <span class="saving" role="status">{{ saving ? "Saving\u2026" : saved ? "Saved" : "" }}</span>
    <button type="button" class="act remove" :disabled="!removes || !chosen" :title="why(removes)" @click="$refs.sure.showModal()">Remove\u2026</button>
  </div>
  <div v-if="problem" class="problem gallery-problem" role="alert">
    <span>{{ problem }}</span><button type="button" class="act" @click="problem = ''">Close</button>
  </div>
  <div class="gallery-sheet">
    <div ref="view" class="gallery-view" tabindex="0" role="listbox" aria-multiselectable="true"
      aria-label="Pictures" :aria-activedescendant="total ? 'picture-' + cursor : null" :aria-busy="total === null"
      @scroll.passive="scrolled" @keydown="pressed" @click="clicked" @dblclick="opened">
      <div class="gallery-room" role="presentation" :style="{ height: room + 'px' }">
        <div v-for="cell in cells" :key="cell.index" :id="'picture-' + cell.index" role="option"
          :data-index="cell.index" :class="cell.classes" :style="cell.style" :aria-selected="cell.selected"
          :aria-setsize="total" :aria-posinset="cell.index + 1" :aria-label="cell.told" :title="cell.name">
          <div class="shot" role="presentation">
            <img v-if="cell.source" :src="cell.source" alt="" decoding="async" draggable="false" @error="broken(cell.index)">
            <span v-else-if="cell.lost" class="lost">{{ cell.lost }}</span>
          </div>
          <div class="caption" role="presentation"><i class="dot"></i><span class="name">{{ cell.name }}</span><span v-if="cell.extra" class="extra">{{ cell.extra }}</span></div>
        </div>
      </div>
    </div>
    <div v-if="total === 0" class="empty gallery-none">
      <h2>No picture is like that</h2><p>Choose another filter, or search for another part of a name.</p>
      <button type="button" class="act" @click="showEverything">Show all</button>
    </div>
  </div>
  <div class="gallery-line foot">
    <span v-if="!missing.length && total !== null" class="pill good">Enough to train</span>
    <a v-if="!missing.length && total !== null" :href="training">Train a model</a>
    <template v-if="missing.length"><span class="quiet">Before training:</span><span v-for="each in missing" :key="each" class="pill warning">{{ each }}</span></template>
    <div class="room"></div>
    <span class="quiet keys"><kbd>N</kbd> <kbd>A</kbd> label and go on \u00b7 <kbd>Space</kbd> select \u00b7 <kbd>Shift</kbd> range \u00b7 <kbd>Enter</kbd> paint \u00b7 <kbd>Ctrl+Z</kbd> undo</span>
  </div>
  <dialog ref="sure" class="gallery-sure" aria-labelledby="gallery-sure">
    <h2 id="gallery-sure">Remove {{ number(chosen) }} {{ chosen === 1 ? "picture" : "pictures" }} from this set?</h2>
    <p>Their labels go with them; the files stay in their bucket. Undo brings them back.</p>
    <div class="gallery-line"><div class="room"></div>
      <button type="button" class="act" autofocus @click="$refs.sure.close()">Keep them</button>
      <button type="button" class="act anomaly" @click="remove">Remove</button></div>
  </dialog>
</div>`;

export default {
  template: TEMPLATE,
  props: { source: String, painter: String, training: String, labels: Boolean, removes: Boolean },
  data() {
    const asked = new URLSearchParams(location.search);
    return {
      chips: CHIPS,
      filter: asked.get("filter") || "all",
      type: asked.get("type") || "",
      text: asked.get("q") || "",
      sort: asked.get("sort") || "name",
      counts: {},
      missing: [],
      total: null,
      cells: [],
      room: 0,
      cursor: 0,
      chosen: 0,
      undoable: 0,
      saving: false,
      saved: false,
      problem: "",
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
    this.pending = []; // changes that are not saved yet, oldest first
    this.done = []; // changes that can be undone, oldest first
    this.drawn = new Set(); // positions whose pictures are shown
    this.top = 0;
    this.fast = false;
    this.columns = 1;
    this.asking = 0; // counts the views asked for
  },
  mounted() {
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.$refs.view);
    document.addEventListener("keydown", this.pressedAnywhere);
    window.addEventListener("beforeunload", this.leaving);
    this.ask();
    this.$refs.view.focus({ preventScroll: true });
  },
  unmounted() {
    this.watcher.disconnect();
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
    typed() {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.ask(), TYPING_MS);
    },
    query() {
      const found = { filter: this.filter, type: this.type, q: this.text, sort: this.sort };
      const plain = { filter: "all", type: "", q: "", sort: "name" };
      return Object.fromEntries(Object.entries(found).filter(([name, value]) => value !== plain[name]));
    },
    async ask() {
      const asking = ++this.asking;
      this.remember();
      await this.idle(); // what is shown next must know what was labelled
      if (asking !== this.asking) return;
      this.view = "";
      const first = await this.fetched(0);
      if (asking !== this.asking || !first) return;
      this.chunks.clear();
      this.renew(first, 0);
      this.$refs.view.scrollTop = this.top = 0;
      this.draw();
    },
    renew(answer, chunk) {
      if (answer.view !== this.view) {
        this.view = answer.view;
        this.chunks.clear();
        this.drawn.clear();
        this.total = answer.total;
        this.cursor = this.anchor = 0;
        this.clear();
      }
      this.stand(answer);
      this.chunks.set(chunk, answer.entries);
    },
    stand(answer) {
      if (answer.counts) [this.counts, this.missing] = [answer.counts, answer.missing];
    },
    remember() {
      const asked = new URLSearchParams(location.search);
      for (const name of ["filter", "type", "q", "sort"]) asked.delete(name);
      for (const [name, value] of Object.entries(this.query())) asked.set(name, value);
      const search = asked.toString();
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
      answers.forEach((answer, place) => answer && this.renew(answer, near[place]));
      this.draw();
    },
    async request(rest, body) {
      let answer;
      try {
        answer = await fetch(this.source + rest, body && { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
      } catch {
        throw new Error("The server cannot be reached.");
      }
      if (answer.status === 401) location.reload(); // shows where to sign in
      const members = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(members.problem ?? "That failed, through a fault of the server.");
      return members;
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
      const going = this.pending.some((change) => change.kind === "remove" && this.covers(change, index));
      const x = GAP + (index % this.columns) * (width + GAP);
      const y = GAP + Math.floor(index / this.columns) * (ROW + GAP);
      const types = label === "anomaly" && entry?.types.length ? entry.types.join(", ") : "";
      return Object.freeze({
        index,
        selected,
        name: entry?.name ?? "",
        told: entry ? [entry.name, label ?? "no label", types].filter(Boolean).join(", ") : "loading",
        source: shown ? entry.thumbnail : "",
        lost: entry === null ? "Removed" : entry?.broken ? "Cannot be shown" : "",
        extra: typeof entry?.score === "number" && this.sort === "score" ? entry.score.toFixed(2) : types,
        classes: ["cell", label ?? "open", { selected, going, here: index === this.cursor }],
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
    why(allowed) {
      return allowed ? null : "Your access key does not allow this.";
    },

    // --- choosing ---
    choose(indexes) {
      this.selected = new Set(indexes);
      this.chosen = this.selected.size;
      this.draw();
    },
    clear() {
      this.choose([]);
    },
    range(index) {
      const [first, last] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
      this.choose(Array.from({ length: last - first + 1 }, (_, step) => first + step));
    },
    toggle(index) {
      const chosen = new Set(this.selected);
      if (!chosen.delete(index)) chosen.add(index);
      this.anchor = index;
      this.choose(chosen);
    },
    selectAll() {
      this.choose(Array.from({ length: this.total ?? 0 }, (_, index) => index));
    },
    selectPage() {
      const row = ROW + GAP;
      const first = Math.ceil((this.top - ROW / 2) / row) * this.columns;
      const last = Math.floor((this.top + this.$refs.view.clientHeight - ROW / 2) / row) * this.columns - 1;
      const end = Math.min(Math.max(last, first), (this.total ?? 0) - 1);
      this.choose(Array.from({ length: Math.max(0, end - first + 1) }, (_, step) => first + step));
    },
    indexAt(event) {
      const cell = event.target.closest?.("[data-index]");
      return cell ? Number(cell.dataset.index) : null;
    },
    clicked(event) {
      const index = this.indexAt(event);
      if (index === null) return;
      this.cursor = index;
      if (event.shiftKey) return this.range(index);
      if (event.ctrlKey || event.metaKey) return this.toggle(index);
      this.anchor = index;
      this.choose([index]);
    },
    opened(event) {
      const index = this.indexAt(event);
      if (index !== null) this.open(index);
    },
    async open(index) {
      const entry = this.entry(index);
      if (!entry) return;
      await this.idle();
      location.href = this.painter + encodeURIComponent(entry.ref);
    },
    go(index, ranging) {
      if (!this.total) return;
      const to = Math.max(0, Math.min(this.total - 1, index));
      if (ranging && !this.selected.size) this.anchor = this.cursor;
      this.cursor = to;
      if (ranging) this.range(to);
      else if (this.selected.size <= 1) this.choose([]);
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
      else if (key === "delete" && this.removes && this.chosen) this.$refs.sure.showModal();
      else return;
      event.preventDefault();
    },
    leaving(event) {
      if (this.pending.length) event.preventDefault();
    },

    // --- changing ---
    covers(change, index) {
      return change.view === this.view && change.indexes.has(index);
    },
    labelOf(index) {
      for (let place = this.pending.length - 1; place >= 0; place--) {
        const change = this.pending[place];
        if (!this.covers(change, index) || change.kind === "remove") continue;
        if (change.kind === "label") return change.label;
        if (change.of.before.has(index)) return change.of.before.get(index);
      }
      return this.entry(index)?.label ?? null;
    },
    label(label) {
      if (!this.labels || !this.total) return;
      const one = this.selected.size <= 1;
      const indexes = this.selected.size ? new Set(this.selected) : new Set([this.cursor]);
      const before = new Map();
      for (const index of indexes) if (this.entry(index)) before.set(index, this.labelOf(index));
      this.enqueue({ kind: "label", label, indexes, before, view: this.view });
      if (one) {
        const [index] = indexes;
        this.choose([]);
        this.cursor = index;
        this.go(index + 1, false);
      }
    },
    remove() {
      this.$refs.sure.close();
      this.enqueue({ kind: "remove", indexes: new Set(this.selected), before: new Map(), view: this.view });
      this.clear();
    },
    undo() {
      const of = this.done.pop();
      this.undoable = this.done.length;
      if (!of) return;
      if (this.pending.includes(of) && !of.sent) {
        this.pending.splice(this.pending.indexOf(of), 1);
        this.draw();
        return;
      }
      this.enqueue({ kind: "undo", of, indexes: of.indexes, before: new Map(), view: of.view });
    },
    enqueue(change) {
      this.pending.push(change);
      if (change.kind !== "undo") this.done.push(change);
      this.undoable = this.done.length;
      this.draw();
      this.save();
    },
    async save() {
      if (this.saving) return;
      this.saving = true;
      clearTimeout(this.telling);
      const stale = new Set();
      while (this.pending.length) stale.add(await this.sendSome());
      this.saving = false;
      this.saved = !this.problem;
      this.telling = setTimeout(() => (this.saved = false), SAVED_MS);
      if (stale.has("all")) await this.ask();
      else if (stale.has("seen")) await this.refresh();
      this.draw();
    },
    async sendSome() {
      // sends what can go in one request; tells what must be read anew: "" nothing, "seen" or "all"
      const until = this.pending.findIndex((change) => change.kind === "remove");
      const some = this.pending.slice(0, until < 0 ? undefined : Math.max(1, until));
      for (const change of some) change.sent = true;
      try {
        const removing = some[0].kind === "remove";
        const answer = await this.request(removing ? "/removal" : "/changes", removing ? this.step(some[0]) : { changes: some.map(this.step) });
        answer.undos.forEach((name, place) => (some[place].name = name));
        for (const change of some) this.settle(change);
        this.stand(answer);
        this.problem = "";
        const back = some.some((change) => change.kind === "undo" && change.of.kind === "remove");
        return removing || back ? "all" : some.some((change) => change.kind === "undo") ? "seen" : "";
      } catch (error) {
        this.problem = "Not saved, and taken back: " + error.message;
        this.done = this.done.filter((change) => !some.includes(change));
        this.undoable = this.done.length;
        this.pending = this.pending.filter((change) => !some.includes(change.of));
        return "seen";
      } finally {
        this.pending = this.pending.filter((change) => !some.includes(change));
        this.draw();
      }
    },
    step(change) {
      if (change.kind === "undo") return { undo: change.of.name ?? "" };
      const step = { view: change.view, ranges: this.ranges(change.indexes) };
      return change.kind === "label" ? { ...step, label: change.label } : step;
    },
    settle(change) {
      if (change.view !== this.view || change.kind === "remove") return;
      for (const index of change.indexes) {
        const entry = this.entry(index);
        if (!entry) continue;
        if (change.kind === "label") entry.label = change.label;
        else if (change.of.before.has(index)) entry.label = change.of.before.get(index);
        if (entry.label !== "anomaly") entry.types = [];
      }
    },
    ranges(indexes) {
      const found = [];
      for (const index of [...indexes].sort((one, other) => one - other)) {
        const last = found[found.length - 1];
        if (last && last[1] === index - 1) last[1] = index;
        else found.push([index, index]);
      }
      return found;
    },
    async idle() {
      while (this.pending.length) await new Promise((resolve) => setTimeout(resolve, 30));
    },
  },
};
