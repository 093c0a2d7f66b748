// A folder or a ZIP archive with labels of another tool: sent as a whole, read by the server, shown,
// and added. add_images.js hands it over by the event "labelled-folder".
import { request, sendJson } from "/console/static/server.js";

const AT_ONCE = 4;
const USED = /\.(json|xml|ya?ml|txt|manifest|jsonl|jsonlines|zip|jpe?g|jfif|png|tiff?|bmp|webp)$/i;

export default {
  props: { url: String, gallery: String },
  template: `
    <div v-if="state !== 'empty'" class="add-images"><section class="panel" :aria-label="say('Labels of another tool')">
      <h2 ref="head" tabindex="-1">{{ headline }}</h2>
      <template v-if="state === 'sending' || state === 'reading' || state === 'adding'">
        <progress :max="total" :value="state === 'reading' ? undefined : done" :aria-label="headline"></progress>
        <p class="quiet" v-if="state !== 'reading'">{{ say("{number} of {total}", { number: number(done), total: number(total) }) }}</p>
        <div class="line" v-if="state === 'sending'"><button type="button" @click="stop">{{ say("Stop") }}</button></div>
      </template>
      <template v-if="state === 'read'">
        <p>{{ summary.title }}: {{ groups }}. {{ say("{number} with a mask.", { number: number(summary.masks) }) }}</p>
        <p v-if="summary.types.length">{{ say("Anomaly types: {names}.", { names: summary.types.join(", ") }) }}</p>
        <ul v-if="summary.notes.length"><li v-for="note in summary.notes" :key="note">{{ note }}</li></ul>
        <p class="quiet" v-if="summary.others.length">{{ say("It also looks like") }}
          <template v-for="(other, index) in summary.others" :key="other.name"><span v-if="index">, </span>
            <button type="button" @click="read(other.name)">{{ other.title }}</button></template></p>
        <div class="line">
          <button type="button" class="solid" @click="add">{{ counted(summary.images, "Add {count} image", "Add {count} images") }}</button>
          <button type="button" @click="stop">{{ say("Choose others") }}</button>
        </div>
      </template>
      <template v-if="state === 'refused'">
        <p class="problem labels-problem" role="alert">{{ problem }}</p>
        <div class="line">
          <button type="button" @click="usePlain" v-if="plain">{{ say("Add the images without these labels") }}</button>
          <button type="button" @click="stop">{{ say("Choose others") }}</button>
        </div>
      </template>
      <template v-if="state === 'done'">
        <details v-if="known.length"><summary>{{ say("Left as they are ({number})", { number: number(known.length) }) }}</summary>
          <ul><li v-for="row in known.slice(0, 200)" :key="row.path"><b>{{ row.path }}</b> {{ row.why }}</li></ul></details>
        <div class="line"><a class="solid" :href="gallery">{{ say("Show the images") }}</a>
          <button type="button" @click="stop">{{ say("Add more") }}</button></div>
      </template>
    </section></div>
  `,
  data() { return { state: "empty", ...this.nothing() }; },
  computed: {
    headline() {
      const headlines = {
        sending: say("Sending the folder"), reading: say("Reading labels and masks"), read: say("Labels and masks were read"),
        refused: say("The labels cannot be used"), adding: say("Adding images"), done: counted(this.added, "{count} image added", "{count} images added"),
      };
      return headlines[this.state] ?? "";
    },
    groups() {
      return this.summary.groups.map(({ kind, label, count }) =>
        say("{number} {label} for the {set}", { number: this.number(count), label: say(label || "without a label"), set: say(kind === "test" ? "test set" : "training set") })).join(", ");
    },
  },
  mounted() {
    this.listener = ({ detail }) => this.start(detail);
    this.leaving = (event) => { if (this.state === "sending" || this.state === "adding") event.preventDefault(); };
    window.addEventListener("labelled-folder", this.listener);
    window.addEventListener("beforeunload", this.leaving);
  },
  unmounted() {
    window.removeEventListener("labelled-folder", this.listener);
    window.removeEventListener("beforeunload", this.leaving);
  },
  methods: {
    nothing: () => ({ upload: "", plain: null, total: 0, done: 0, added: 0, known: [], problem: "", summary: null }),
    number: (value) => numberText(value),
    show(state) {
      this.state = state;
      this.$nextTick(() => this.$refs.head?.focus());
    },
    refuse(error) {
      this.problem = error.message;
      this.show("refused");
    },
    async start({ items, plain }) {
      const queue = items.filter(({ path }) => USED.test(path));
      Object.assign(this, this.nothing(), { total: queue.length, plain });
      this.show("sending");
      try {
        const { upload } = await (await sendJson(this.url, {})).json();
        this.upload = `${this.url}/${upload}`;
        const worker = async () => { while (queue.length && this.state === "sending") await this.send(queue.shift()); };
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
      } catch (error) {
        queue.length = 0;
        if (this.state === "sending") this.refuse(error);
        return;
      }
      if (this.state === "sending") await this.read("");
    },
    async send({ path, file }) {
      await request(`${this.upload}?${new URLSearchParams({ path })}`, { method: "PUT", body: file });
      this.done += 1;
    },
    async read(format) {
      this.show("reading");
      try {
        const answer = await (await sendJson(`${this.upload}/read?${new URLSearchParams({ format })}`, {})).json();
        if (answer.problem) return this.refuse({ message: answer.problem });
        this.summary = answer;
        this.show("read");
      } catch (error) {
        this.refuse(error);
      }
    },
    async add() {
      Object.assign(this, { total: this.summary.images, done: 0 });
      this.show("adding");
      try {
        const reader = (await sendJson(`${this.upload}/add`, {})).body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          const lines = (rest + part.value).split("\n");
          rest = lines.pop();
          for (const line of lines) this.take(JSON.parse(line));
        }
      } catch (error) {
        this.refuse(error);
      }
    },
    take(state) {
      if (state.problem) return this.refuse({ message: state.problem });
      Object.assign(this, state);
      if (state.known) this.show("done");
    },
    forget() {
      if (this.upload) fetch(this.upload, { method: "DELETE" }).catch(() => {});
      this.upload = "";
    },
    stop() {
      this.forget();
      this.state = "empty";
    },
    usePlain() {
      const plain = this.plain;
      this.stop();
      plain();
    },
  },
};
