// Images that people drop or choose, sent to a model one by one, each shown with its heat map. They
// stay in the browser, also over a reload, until they are cleared.
import { detect, inTurns, upload } from "/console/static/send_images.js";
import { dropCards, findCards, putCard } from "/console/static/tried_images.js";

let last = 0;

// numbers that grow, also from one visit to the next
const nextId = () => (last = Math.max(last + 1, Date.now()));

export default {
  props: { detectUrl: String, uploadUrl: String, ready: Boolean, mayAdd: Boolean },
  emits: ["add"],
  data: () => ({ cards: [], shown: "heatMap", fade: 70, over: false, adding: false, wide: null }),
  computed: {
    hasMasks() {
      return this.cards.some((card) => card.answer?.mask);
    },
    verified() {
      return this.cards.filter((card) => card.label && !card.added);
    },
  },
  template: `
    <div class="try" :class="{ over }" @dragover.prevent="over = ready" @dragleave="over = false" @drop.prevent="drop">
      <label class="drop" :class="{ off: !ready }">
        <span>{{ ready ? say("Drop images here, or choose them") : say("Start the model to try images with it") }}</span>
        <input type="file" multiple accept="image/jpeg,image/png,image/tiff,image/bmp,image/webp" :disabled="!ready" :aria-label="say('Images to try')" @change="choose">
      </label>
      <div v-if="cards.length" class="line controls">
        <label class="line">{{ say("What the model saw") }}
          <select v-model="shown" class="choice">
            <option value="heatMap">{{ say("Heat map") }}</option>
            <option v-if="hasMasks" value="mask">{{ say("Mask") }}</option>
            <option value="">{{ say("Nothing over the image") }}</option>
          </select>
        </label>
        <label class="line">{{ say("Fade") }} <input type="range" min="0" max="100" v-model.number="fade"></label>
        <span class="room"></span>
        <button type="button" class="small" @click="clear">{{ say("Clear all") }}</button>
        <button v-if="mayAdd" type="button" class="small strong" :disabled="!verified.length || adding" @click="add">
          {{ adding ? say("Adding...") : say("Add the verified to the training set ({number})", { number: verified.length }) }}
        </button>
      </div>
      <ul class="cards" :aria-label="say('Tried images')" aria-live="polite">
        <li v-for="card in cards" :key="card.id" class="panel" :class="{ wide: wide === card.id }">
          <button type="button" class="look" :aria-label="say('Look at {name}', { name: card.name })" :aria-expanded="wide === card.id" @click="wide = wide === card.id ? null : card.id">
            <img :src="card.url" :alt="card.name">
            <img v-if="card.answer?.[shown]" class="seen" :src="card.answer[shown]" alt="" :style="{ opacity: fade / 100 }">
          </button>
          <strong class="name" :title="card.name">{{ card.name }}</strong>
          <p v-if="card.problem" class="problem">{{ card.problem }}</p>
          <p v-else-if="!card.answer" class="quiet">{{ say("Waiting for the model...") }}</p>
          <template v-else>
            <div class="line">
              <span class="pill" :class="card.answer.anomalous ? 'anomaly' : 'normal'">{{ card.answer.anomalous ? say("Anomaly") : say("Normal") }}</span>
              <span>{{ say("{confidence} sure", { confidence: percent(card.answer.confidence) }) }}</span>
            </div>
            <div v-if="card.answer.types.length" class="line">
              <span v-for="type in card.answer.types" class="pill"><i class="dot" :style="{ background: type.color }"></i>{{ type.name }} {{ percent(type.share) }}</span>
            </div>
            <div v-if="card.added" class="pill good">{{ say("In the training set as {label}", { label: say(card.label) }) }}</div>
            <div v-else-if="mayAdd" class="line" role="group" :aria-label="say('Verdict on {name}', { name: card.name })">
              <button type="button" class="small" :aria-pressed="card.label === detected(card)" @click="verify(card, detected(card))">{{ say("Right") }}</button>
              <button type="button" class="small" :aria-pressed="card.label === other(card)" @click="verify(card, other(card))">
                {{ card.answer.anomalous ? say("It is normal") : say("It is an anomaly") }}</button>
            </div>
          </template>
        </li>
      </ul>
    </div>`,
  async mounted() {
    const stored = await findCards(this.detectUrl);
    this.cards.push(...stored.map((card) => this.card(card.file, card)));
  },
  methods: {
    percent: (share) => (share < 0.001 ? "<0.1%" : (100 * share).toFixed(share > 0.0995 ? 0 : 1) + "%"),
    card(file, known = {}) {
      const url = URL.createObjectURL(file);
      const card = { id: nextId(), name: file.name, answer: null, label: null, added: false, ...known };
      return { ...card, url, file: Vue.markRaw(file), problem: "" };
    },
    keep(card) {
      if (card.answer) putCard(this.detectUrl, card);
    },
    detected: (card) => (card.answer.anomalous ? "anomaly" : "normal"),
    other: (card) => (card.answer.anomalous ? "normal" : "anomaly"),
    verify(card, label) {
      card.label = card.label === label ? null : label;
      this.keep(card);
    },
    choose(event) {
      this.detect([...event.target.files]);
      event.target.value = "";
    },
    drop(event) {
      this.over = false;
      if (this.ready) this.detect([...event.dataTransfer.files]);
    },
    detect(files) {
      const cards = files.map((file) => this.card(file));
      this.cards.unshift(...cards);
      const ids = new Set(cards.map((card) => card.id));
      return inTurns(this.cards.filter((card) => ids.has(card.id)), async (card) => {
        const answer = await detect(this.detectUrl, card.file);
        if (answer.problem) card.problem = answer.problem;
        else card.answer = answer;
        this.keep(card);
      });
    },
    clear() {
      for (const card of this.cards) URL.revokeObjectURL(card.url);
      this.cards = [];
      dropCards(this.detectUrl);
    },
    async add() {
      this.adding = true;
      const cards = [...this.verified];
      await inTurns(cards, async (card) => {
        const answer = await upload(this.uploadUrl, card.file);
        if (answer.problem) card.problem = answer.problem;
        card.ref = answer.ref;
      });
      const uploaded = cards.filter((card) => card.ref).map(({ ref, label }) => ({ ref, label }));
      if (uploaded.length) this.$emit("add", uploaded);
      else this.adding = false;
    },
    // called by the server: what is now in the training set; nothing if it was refused
    added(refs) {
      const inside = new Set(refs);
      for (const card of this.cards.filter((card) => inside.has(card.ref))) {
        card.added = true;
        this.keep(card);
      }
      this.adding = false;
    },
  },
};
