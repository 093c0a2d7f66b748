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
      <section class="panel" :aria-label="say('From this computer')">
        <h2>{{ say("From this computer") }}</h2>
        <div class="drop" :class="{ over, off: !may || busy }">
          <p class="lead">{{ say("Drag images or a folder here") }}</p>
          <p class="quiet">{{ say("JPEG or PNG, up to {size} each. Folder names such as good, ok, ng or defect become labels. A folder or ZIP archive of MVTec, COCO, LabelMe, Label Studio, CVAT, VOC or YOLO comes with its masks.", { size: megabytes(most) }) }}</p>
          <div class="line">
            <button type="button" class="solid" :disabled="!may || busy" @click="$refs.folder.click()">{{ say("Choose a folder") }}</button>
            <button type="button" :disabled="!may || busy" @click="$refs.files.click()">{{ say("Choose files") }}</button>
          </div>
          <input ref="folder" type="file" webkitdirectory multiple hidden :aria-label="say('A folder')" @change="picked">
          <input ref="files" type="file" accept="image/jpeg,image/png,image/tiff,image/bmp,image/webp,.zip" multiple hidden :aria-label="say('Files')" @change="picked">
        </div>
      </section>

      <section v-if="state === 'plan'" class="panel" :aria-label="say('What will be added')">
        <h2>{{ counted(planned.length, "{count} file to add", "{count} files to add") }}</h2>
        <div class="line labels-notice" v-if="hasLabels">
          <span>{{ say("There are labels or masks of another tool.") }}</span>
          <button type="button" @click="readLabels(items)">{{ say("Read labels and masks") }}</button>
        </div>
        <div class="choices">
          <fieldset>
            <legend>{{ say("Data sets") }}</legend>
            <label><input type="radio" value="one" v-model="sets"> <span><b>{{ say("One data set") }}</b><br>
              <span class="quiet">{{ say("All images go into the training set. Blemish holds some of them back to test each model with.") }}</span></span></label>
            <label><input type="radio" value="two" v-model="sets"> <span><b>{{ say("Train and test") }}</b><br>
              <span class="quiet">{{ say("You decide what models are tested with. Folders named train and test say where images go.") }}</span></span></label>
            <label v-if="sets === 'two'" class="pick">{{ say("Images in neither folder go to the") }}
              <select v-model="otherwise"><option value="train">{{ say("training set") }}</option><option value="test">{{ say("test set") }}</option></select></label>
          </fieldset>
          <fieldset>
            <legend>{{ say("Labels") }}</legend>
            <label><input type="radio" value="folders" v-model="labels" @change="relabel"> <span>{{ say("From the folder names") }}</span></label>
            <label><input type="radio" value="normal" v-model="labels" @change="relabel"> <span>{{ say("All are normal") }}</span></label>
            <label><input type="radio" value="anomaly" v-model="labels" @change="relabel"> <span>{{ say("All show an anomaly") }}</span></label>
            <label><input type="radio" value="none" v-model="labels" @change="relabel"> <span>{{ say("None yet: I label them later") }}</span></label>
          </fieldset>
        </div>
        <div class="rows" tabindex="0" role="region" :aria-label="say('Folders')">
          <table class="plain">
            <thead><tr><th>{{ say("Folder") }}</th><th>{{ say("Files") }}</th><th>{{ say("Label") }}</th><th>{{ say("Data set") }}</th></tr></thead>
            <tbody>
              <tr v-for="group in groups" :key="group.folder">
                <td><label><input type="checkbox" :checked="!left.has(group.folder)" @change="leave(group.folder)"> <span>{{ group.folder || say("(no folder)") }}</span></label></td>
                <td>{{ numberText(group.count) }}</td>
                <td><select class="folder-label" :class="labelOf(group.sample)" :aria-label="group.folder ? say('Label of {folder}', { folder: group.folder }) : say('Label of files without a folder')"
                  :value="labelOf(group.sample) ?? ''" @change="setLabel(group.folder, $event.target.value)">
                  <option value="normal">{{ say("normal") }}</option><option value="anomaly">{{ say("anomaly") }}</option><option value="">{{ say("no label") }}</option></select></td>
                <td>{{ spoken(kindOf(group.sample)) }}</td>
              </tr>
            </tbody>
          </table>
        </div>
        <p class="quiet" v-if="hidden">{{ counted(hidden, "{count} hidden file passed over, such as those that file managers leave.", "{count} hidden files passed over, such as those that file managers leave.") }}</p>
        <div class="line">
          <button type="button" class="solid" ref="start" :disabled="!planned.length" @click="start">{{ counted(planned.length, "Add {count} file", "Add {count} files") }}</button>
          <button type="button" @click="clear">{{ say("Choose others") }}</button>
        </div>
      </section>

      <section v-if="state === 'ask'" class="panel" :aria-label="say('Other sizes')">
        <h2 ref="question" tabindex="-1">{{ counted(odd.length, "{count} image of another size", "{count} images of another size") }}</h2>
        <p>{{ say("The most common size is {size}. {path} has {other}.", { size: expected.text, path: odd[0].path, other: odd[0].size.text }) }}</p>
        <p class="quiet">{{ say("Mixed sizes are a setting of the project: each image is resized for training and detection, so cameras should show the product alike.") }}</p>
        <p class="problem" v-if="refusal" role="alert">{{ refusal }}</p>
        <div class="line">
          <button type="button" class="solid" @click="allowSizes">{{ say("Allow mixed sizes") }}</button>
          <button type="button" @click="leaveOutSizes">{{ say("Leave these out") }}</button>
        </div>
      </section>

      <section v-if="busy || state === 'done'" class="panel" :aria-label="say('Progress')">
        <h2 ref="outcome" tabindex="-1">{{ headline }}</h2>
        <progress :max="total" :value="sent" :aria-label="headline"></progress>
        <p class="quiet" v-if="busy">{{ say("{sent} of {total} sent, {added} added to the project.", { sent: numberText(sent), total: numberText(total), added: numberText(added) }) }}<span v-if="waiting"> {{ say("Adding\u2026") }}</span></p>
        <p class="problem" v-if="fatal" role="alert">{{ fatal }}</p>
        <div class="line outcome" role="status" v-if="state === 'done'">
          <span class="pill good">{{ say("{number} added", { number: numberText(added) }) }}</span>
          <span class="pill" v-if="known.length">{{ say("{number} already there", { number: numberText(known.length) }) }}</span>
          <span class="pill bad" v-if="failed.length">{{ say("{number} not usable", { number: numberText(failed.length) }) }}</span>
          <span class="pill warning" v-if="unsent">{{ say("{number} not sent", { number: numberText(unsent) }) }}</span>
        </div>
        <details v-for="list in lists" :key="list.title" :open="list.open">
          <summary>{{ list.title }} ({{ numberText(list.rows.length) }})</summary>
          <ul><li v-for="row in list.rows.slice(0, shown)"><b>{{ row.path }}</b> {{ row.why }}</li>
            <li v-if="list.rows.length > shown" class="quiet">{{ say("and {number} more", { number: numberText(list.rows.length - shown) }) }}</li></ul>
        </details>
        <div class="line">
          <button v-if="busy" type="button" :disabled="stopped" @click="stopped = true">{{ stopped ? say("Stopping") : say("Stop") }}</button>
          <template v-else>
            <a class="solid" :href="gallery + '?set=' + (firstKind ?? 'train')">{{ say("Show the images") }}</a>
            <button type="button" @click="clear">{{ say("Add more") }}</button>
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
      if (this.busy) return counted(this.total, "Adding {count} file", "Adding {count} files");
      return this.fatal || this.unsent ? say("Not everything was added") : counted(this.added, "{count} image added", "{count} images added");
    },
    lists() {
      return [
        { title: say("Not usable"), rows: this.failed, open: true },
        { title: say("Already there"), rows: this.known, open: !this.failed.length },
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
    megabytes: (bytes) => `${Math.floor(bytes / 1048576)} MiB`,
    spoken: (kind) => (kind === "test" ? say("test set") : say("training set")),
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
      const why = (size) => say("has {size}; the most common size is {other}", { size: size.text, other: this.expected.text });
      this.failed.push(...this.odd.splice(0).map(({ path, size }) => ({ path, why: why(size) })));
      this.finish();
    },
    ended() { return this.stopped || this.fatal; },
    async send({ path, file, kind, label }) {
      try {
        if (file.size > this.most) throw { problem: say("has {size} bytes; at most {most} are taken.", { size: numberText(file.size), most: numberText(this.most) }) };
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
        const values = { path: first.path, label: first.label ? say(first.label) : say("not labelled") };
        const why = first.label === entry.label
          ? say("is the same image as {path}", values)
          : say("is the same image as {path}, which counts as {label}", values);
        this.known.push({ path: entry.path, why });
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
        this.fatal = counted(entries.length, "{count} image could not be added: {problem}", "{count} images could not be added: {problem}", { problem: error.message });
      }
    },
  },
};
