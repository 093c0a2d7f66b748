// Sends files and folders of this computer, a few at a time, and adds them to the project as they
// arrive.
import { request, sendJson } from "/console/static/server.js";

const AT_ONCE = 4;
const MANY = 50; // images worth a change of the data set while others are still sent
const MOST = 1000; // of one change
const TRIES = 8; // for half a minute
const SIZED = 20; // images that show which size most of a new project have
const SHOWN = 200; // rows of a list; a browser is slow with thousands
const MASKS = /(^|\/)(ground_truth|masks?)(\/|$)/i; // folders of masks, which are no images of the product
const LABELS = /\.(json|xml|ya?ml|manifest|jsonl|zip)$/i; // files of labels of other tools
const HIDDEN = /(^|\/)(\.|thumbs\.db$|desktop\.ini$|__macosx\/)/i;

const fits = (size, expected) =>
  `${size.stored}` === `${expected.stored}` || `${size.upright}` === `${expected.upright}`;

// the most common size of some images
function commonSize(entries) {
  const counts = new Map();
  for (const { size } of entries) counts.set(size.text, { size, count: (counts.get(size.text)?.count ?? 0) + 1 });
  return [...counts.values()].reduce((most, other) => (other.count > most.count ? other : most)).size;
}

const folders = (path) => path.split("/").slice(0, -1).map((name) => name.toLowerCase()).reverse();
const kindIn = (path) => folders(path).find((name) => name === "train" || name === "test") ?? null;
const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));

// appends the files of a dropped file or folder to `files`
async function collectFiles(entry, folder, files) {
  const path = folder ? `${folder}/${entry.name}` : entry.name;
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed)).catch(() => null);
    if (file) files.push({ path, file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const entries = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!entries.length) return;
    for (const child of entries) await collectFiles(child, path, files);
  }
}

// sends a request again when the server cannot be reached; returns the members of the answer
async function persist(send) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await (await send()).json();
    } catch (error) {
      if (error.status || attempt === TRIES) throw error;
      await new Promise((done) => setTimeout(done, 1000 * attempt));
    }
  }
}

export default {
  props: { url: String, gallery: String, two: Boolean, most: Number, may: Boolean, names: Object },
  template: `
    <div class="add-images">
      <section class="panel" aria-label="From this computer">
        <h2>From this computer</h2>
        <div class="drop" :class="{ over, off: !may || busy }">
          <p class="lead">Drag images or a folder here</p>
          <p class="quiet">JPEG or PNG, up to {{ megabytes(most) }} each. Folder names such
            as <code>good</code>, <code>ok</code>, <code>ng</code> or <code>defect</code> become labels. A folder
            or ZIP archive of MVTec, COCO, LabelMe, Label Studio, CVAT, VOC or YOLO comes with its masks.</p>
          <div class="line">
            <button type="button" class="solid" :disabled="!may || busy" @click="$refs.folder.click()">Choose a folder</button>
            <button type="button" :disabled="!may || busy" @click="$refs.files.click()">Choose files</button>
          </div>
          <input ref="folder" type="file" webkitdirectory multiple hidden aria-label="A folder" @change="picked">
          <input ref="files" type="file" accept="image/jpeg,image/png,image/tiff,image/bmp,image/webp,.zip" multiple hidden aria-label="Files" @change="picked">
        </div>
      </section>

      <section v-if="state === 'plan'" class="panel" aria-label="What will be added">
        <h2>{{ count(planned.length, "file") }} to add</h2>
        <div class="line labels-notice" v-if="hasLabels">
          <span>There are labels or masks of another tool.</span>
          <button type="button" @click="readLabels(items)">Read labels and masks</button>
        </div>
        <div class="choices">
          <fieldset>
            <legend>Data sets</legend>
            <label><input type="radio" value="one" v-model="sets"> <span><b>One data set</b><br>
              <span class="quiet">All images go into the training set. Blemish holds some of them back to test each model with.</span></span></label>
            <label><input type="radio" value="two" v-model="sets"> <span><b>Train and test</b><br>
              <span class="quiet">You decide what models are tested with. Folders named <code>train</code> and <code>test</code> say where images go.</span></span></label>
            <label v-if="sets === 'two'" class="pick">Images in neither folder go to the
              <select v-model="otherwise"><option value="train">training set</option><option value="test">test set</option></select></label>
          </fieldset>
          <fieldset>
            <legend>Labels</legend>
            <label><input type="radio" value="folders" v-model="labels" @change="relabel"> <span>From the folder names</span></label>
            <label><input type="radio" value="normal" v-model="labels" @change="relabel"> <span>All are normal</span></label>
            <label><input type="radio" value="anomaly" v-model="labels" @change="relabel"> <span>All show an anomaly</span></label>
            <label><input type="radio" value="none" v-model="labels" @change="relabel"> <span>None yet: I label them later</span></label>
          </fieldset>
        </div>
        <div class="rows" tabindex="0" role="region" aria-label="Folders">
          <table class="plain">
            <thead><tr><th>Folder</th><th>Files</th><th>Label</th><th>Data set</th></tr></thead>
            <tbody>
              <tr v-for="group in groups" :key="group.folder">
                <td><label><input type="checkbox" :checked="!left.has(group.folder)" @change="leave(group.folder)"> <span>{{ group.folder || "(no folder)" }}</span></label></td>
                <td>{{ group.count.toLocaleString("en-US") }}</td>
                <td><select class="folder-label" :class="labelOf(group.sample)" :aria-label="'Label of ' + (group.folder || 'files without a folder')"
                  :value="labelOf(group.sample) ?? ''" @change="setLabel(group.folder, $event.target.value)">
                  <option value="normal">normal</option><option value="anomaly">anomaly</option><option value="">no label</option></select></td>
                <td>{{ spoken(kindOf(group.sample)) }}</td>
              </tr>
            </tbody>
          </table>
        </div>
        <p class="quiet" v-if="hidden">{{ count(hidden, "hidden file") }} passed over, such as those that file managers leave.</p>
        <div class="line">
          <button type="button" class="solid" ref="start" :disabled="!planned.length" @click="start">Add {{ count(planned.length, "file") }}</button>
          <button type="button" @click="clear">Choose others</button>
        </div>
      </section>

      <section v-if="state === 'ask'" class="panel" aria-label="Other sizes">
        <h2 ref="question" tabindex="-1">{{ count(odd.length, "image") }} of another size</h2>
        <p>The most common size is {{ expected.text }}. {{ odd[0].path }} has {{ odd[0].size.text }}.</p>
        <p class="quiet">Mixed sizes are a setting of the project: each image is resized for training and detection, so cameras
          should show the product alike.</p>
        <p class="problem" v-if="refusal" role="alert">{{ refusal }}</p>
        <div class="line">
          <button type="button" class="solid" @click="allowSizes">Allow mixed sizes</button>
          <button type="button" @click="leaveOutSizes">Leave these out</button>
        </div>
      </section>

      <section v-if="busy || state === 'done'" class="panel" aria-label="Progress">
        <h2 ref="outcome" tabindex="-1">{{ headline }}</h2>
        <progress :max="total" :value="sent" :aria-label="headline"></progress>
        <p class="quiet" v-if="busy">{{ sent.toLocaleString("en-US") }} of {{ total.toLocaleString("en-US") }} sent,
          {{ added.toLocaleString("en-US") }} added to the project.<span v-if="waiting"> Adding&hellip;</span></p>
        <p class="problem" v-if="fatal" role="alert">{{ fatal }}</p>
        <div class="line outcome" role="status" v-if="state === 'done'">
          <span class="pill good">{{ added.toLocaleString("en-US") }} added</span>
          <span class="pill" v-if="known.length">{{ known.length.toLocaleString("en-US") }} already there</span>
          <span class="pill bad" v-if="failed.length">{{ failed.length.toLocaleString("en-US") }} not usable</span>
          <span class="pill warning" v-if="unsent">{{ unsent.toLocaleString("en-US") }} not sent</span>
        </div>
        <details v-for="list in lists" :key="list.title" :open="list.open">
          <summary>{{ list.title }} ({{ list.rows.length.toLocaleString("en-US") }})</summary>
          <ul><li v-for="row in list.rows.slice(0, shown)"><b>{{ row.path }}</b> {{ row.why }}</li>
            <li v-if="list.rows.length > shown" class="quiet">and {{ (list.rows.length - shown).toLocaleString("en-US") }} more</li></ul>
        </details>
        <div class="line">
          <button v-if="busy" type="button" :disabled="stopped" @click="stopped = true">{{ stopped ? "Stopping" : "Stop" }}</button>
          <template v-else>
            <a class="solid" :href="gallery + '?set=' + (firstKind ?? 'train')">Show the images</a>
            <button type="button" @click="clear">Add more</button>
          </template>
        </div>
      </section>
    </div>
  `,
  data() {
    return {
      state: "empty", over: false, items: [], left: new Set(), sets: this.two ? "two" : "one",
      otherwise: "train", labels: "folders", ownLabels: {}, shown: SHOWN, hidden: 0, ...this.nothing(),
    };
  },
  computed: {
    busy() { return this.state === "sending"; },
    // the layout of the MVTec data sets: beside test/good every folder is a kind of anomaly
    isMvtec() { return this.items.some(({ path }) => /(^|\/)test\/good\//i.test(path)); },
    hasLabels() { return this.items.some(({ path }) => LABELS.test(path) || MASKS.test(path)); },
    planned() { return this.items.filter(({ path }) => !this.left.has(folderOf(path))); },
    groups() {
      const groups = new Map();
      for (const { path } of this.items) {
        const folder = folderOf(path);
        const group = groups.get(folder);
        if (group) group.count += 1;
        else groups.set(folder, { folder, count: 1, sample: path });
      }
      return [...groups.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1));
    },
    headline() {
      if (this.busy) return `Adding ${this.count(this.total, "file")}`;
      return this.fatal || this.unsent ? "Not everything was added" : `${this.count(this.added, "image")} added`;
    },
    lists() {
      return [
        { title: "Not usable", rows: this.failed, open: true },
        { title: "Already there", rows: this.known, open: !this.failed.length },
      ].filter(({ rows }) => rows.length);
    },
  },
  mounted() { // the whole page takes files: a browser would leave it for one that is dropped beside
    this.listeners = { beforeunload: this.warn, dragover: this.dragged, dragleave: this.left_, drop: this.dropped };
    for (const [name, listener] of Object.entries(this.listeners)) window.addEventListener(name, listener);
  },
  unmounted() {
    for (const [name, listener] of Object.entries(this.listeners)) window.removeEventListener(name, listener);
  },
  methods: {
    nothing: () => ({
      expected: null, unsized: [], odd: [], refusal: "",
      total: 0, sent: 0, unsent: 0, added: 0, known: [], failed: [], fatal: "", stopped: false, waiting: false,
      firstKind: null,
    }),
    count: (number, noun) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`,
    megabytes: (bytes) => `${Math.floor(bytes / 1048576)} MiB`,
    spoken: (kind) => (kind === "test" ? "test set" : "training set"),
    // the label of a file: what somebody set for its folder, else as the choice for all says
    labelOf(path) {
      const folder = folderOf(path);
      if (folder in this.ownLabels) return this.ownLabels[folder] || null;
      if (this.labels === "folders") return this.labelNamed(path);
      return this.labels === "none" ? null : this.labels;
    },
    labelNamed(path) {
      for (const name of folders(path)) {
        for (const [label, names] of Object.entries(this.names)) if (names.includes(name.trim())) return label;
      }
      return this.isMvtec && folders(path).includes("test") ? "anomaly" : null;
    },
    setLabel(folder, label) {
      this.ownLabels = { ...this.ownLabels, [folder]: label };
    },
    relabel() {
      this.ownLabels = {};
    },
    kindOf(path) { return this.sets === "one" ? "train" : kindIn(path) ?? this.otherwise; },
    warn(event) { if (this.busy || this.state === "ask") event.preventDefault(); },
    leave(folder) {
      const left = new Set(this.left);
      if (!left.delete(folder)) left.add(folder);
      this.left = left;
    },
    picked(event) {
      const files = [...event.target.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
      event.target.value = ""; // or the same folder could not be chosen again
      this.plan(files);
    },
    dragged(event) {
      event.preventDefault();
      this.over = this.may && !this.busy;
    },
    left_(event) { if (!event.relatedTarget) this.over = false; },
    async dropped(event) {
      event.preventDefault();
      this.over = false;
      if (!this.may || this.busy) return;
      const items = [...event.dataTransfer.items].filter(({ kind }) => kind === "file");
      const roots = items.map((item) => item.webkitGetAsEntry() ?? item.getAsFile()); // before any await
      const files = [];
      for (const root of roots) {
        if (root instanceof File) files.push({ path: root.name, file: root });
        else if (root) await collectFiles(root, "", files);
      }
      this.plan(files);
    },
    plan(files) {
      const items = files.filter(({ path }) => !HIDDEN.test(path)).sort((a, b) => (a.path < b.path ? -1 : 1));
      const hidden = files.length - items.length;
      if (!items.length) return;
      if (items.every(({ path }) => /\.zip$/i.test(path))) return this.readLabels(items);
      const left = new Set(items.map(({ path }) => folderOf(path)).filter((folder) => MASKS.test(folder)));
      const plan = { state: "plan", items: items.map(Vue.markRaw), left, hidden, ownLabels: {} };
      Object.assign(this, this.nothing(), plan);
      if (items.some(({ path }) => kindIn(path) === "test")) this.sets = "two";
      this.$nextTick(() => this.$refs.start.focus());
    },
    // labelled_folder.js takes over
    readLabels(items) {
      this.clear();
      const plain = items.every(({ path }) => /\.zip$/i.test(path)) ? null : () => this.plan(items);
      window.dispatchEvent(new CustomEvent("labelled-folder", { detail: { items, plain } }));
    },
    clear() { Object.assign(this, this.nothing(), { state: "empty", items: [] }); },
    async start() {
      const queue = this.planned.map(({ path, file }) => ({ path, file, kind: this.kindOf(path), label: this.labelOf(path) }));
      Object.assign(this, { state: "sending", total: queue.length, firstKind: queue[0].kind });
      Object.assign(this, { arrived: [], paths: new Map(), adding: null });
      const worker = async () => { while (queue.length && !this.ended()) await this.send(queue.shift()); };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      if (this.unsized.length) this.sortSizes();
      await this.addArrived();
      if (!this.odd.length || this.fatal) return this.finish();
      this.state = "ask";
      this.$nextTick(() => this.$refs.question.focus());
    },
    async addArrived() {
      this.waiting = true;
      while (this.arrived.length || this.adding) await (this.adding ?? this.add());
    },
    finish() {
      this.unsent = this.total - this.added - this.known.length - this.failed.length;
      this.state = "done";
      this.$nextTick(() => this.$refs.outcome.focus());
    },
    async allowSizes() {
      try {
        await sendJson(`${this.url}/mixed-sizes`, {});
      } catch (error) {
        this.refusal = error.message;
        return;
      }
      Object.assign(this, { state: "sending", refusal: "" });
      this.arrived.push(...this.odd.splice(0));
      await this.addArrived();
      this.finish();
    },
    leaveOutSizes() {
      const why = (size) => `has ${size.text}; the most common size is ${this.expected.text}`;
      this.failed.push(...this.odd.splice(0).map(({ path, size }) => ({ path, why: why(size) })));
      this.finish();
    },
    ended() { return this.stopped || this.fatal; },
    async send({ path, file, kind, label }) {
      try {
        if (file.size > this.most) throw { problem: `has ${file.size.toLocaleString("en-US")} bytes; at most ${this.most.toLocaleString("en-US")} are taken.` };
        const query = new URLSearchParams({ path });
        const answer = await persist(() => request(`${this.url}/${kind}?${query}`, { method: "PUT", body: file }));
        if (answer.problem) throw answer;
        this.expected ??= answer.expected;
        this.collect({ path, ref: answer.ref, kind, label, size: answer.size }, answer.mixed);
      } catch (error) {
        if (error.problem) this.failed.push({ path, why: error.problem });
        else if (!this.fatal) this.fatal = `${path}: ${error.message}`;
      }
      this.sent += 1;
    },
    collect(entry, mixed) {
      const first = this.paths.get(entry.ref);
      if (first) {
        const other = first.label === entry.label ? "" : `, which counts as ${first.label ?? "not labelled"}`;
        this.known.push({ path: entry.path, why: `is the same image as ${first.path}${other}` });
        return;
      }
      this.paths.set(entry.ref, entry);
      if (mixed) this.arrived.push(entry);
      else if (!this.expected) this.unsized.push(entry);
      else (fits(entry.size, this.expected) ? this.arrived : this.odd).push(entry);
      if (this.unsized.length >= SIZED) this.sortSizes();
      if (this.arrived.length >= MANY && !this.adding) this.add();
    },
    sortSizes() {
      this.expected ??= commonSize(this.unsized);
      for (const entry of this.unsized.splice(0)) (fits(entry.size, this.expected) ? this.arrived : this.odd).push(entry);
    },
    add() {
      const entries = this.arrived.splice(0, MOST).map(({ path, ref, kind, label }) => ({ path, ref, kind, label }));
      this.adding = this.addEntries(entries).finally(() => { this.adding = null; });
      return this.adding;
    },
    async addEntries(entries) {
      try {
        const answer = await persist(() => sendJson(`${this.url}/entries`, entries));
        this.known.push(...answer.known);
        this.added += entries.length - answer.known.length;
      } catch (error) {
        this.fatal = `${this.count(entries.length, "image")} could not be added: ${error.message}`;
      }
    },
  },
};
