// Scores of the test images by their label, and a threshold that is dragged or moved by the keyboard.
const WIDTH = 640;
const HALF = 84;
const AXIS = 100;
const BINS = 40;
const STEPS = 1000;

export default {
  template: `
    <div class="threshold">
      <svg ref="plot" :viewBox="'0 0 ${WIDTH} 200'" role="img" :aria-label="description"
           @pointerdown="grab" @pointermove="drag" @pointerup="grabbed = false" @pointercancel="grabbed = false">
        <g class="anomalies"><rect v-for="bar in bars.anomaly" v-bind="bar" /></g>
        <g class="normals"><rect v-for="bar in bars.normal" v-bind="bar" /></g>
        <line class="axis" x1="0" x2="${WIDTH}" y1="${AXIS}" y2="${AXIS}" />
        <text x="4" y="14">{{ say("anomaly") }}</text>
        <text x="4" y="196">{{ say("normal") }}</text>
        <line class="trained" v-if="trained !== current || moved" :x1="x(trained)" :x2="x(trained)" y1="0" y2="200" />
        <line class="limit" :x1="x(value)" :x2="x(value)" y1="0" y2="200" />
        <circle class="limit" :cx="x(value)" cy="${AXIS}" r="7" />
      </svg>
      <input type="range" min="0" max="${STEPS}" step="1" :value="position" :aria-label="say('Threshold')"
             :aria-valuetext="value.toPrecision(4)" @input="move($event.target.valueAsNumber)" />
      <dl class="effect" aria-live="polite">
        <div><dt>{{ say("Threshold") }}</dt><dd>{{ value.toPrecision(4) }}</dd></div>
        <div><dt>{{ say("Found") }}</dt><dd>{{ say("{number} of {total}", { number: effect.found, total: anomaly.length }) }}</dd></div>
        <div><dt>{{ say("Missed") }}</dt><dd>{{ effect.missed }}</dd></div>
        <div><dt>{{ say("False alarms") }}</dt><dd>{{ say("{number} of {total}", { number: effect.alarms, total: normal.length }) }}</dd></div>
        <div><dt>{{ say("Precision") }}</dt><dd>{{ rate(effect.found, effect.found + effect.alarms) }}</dd></div>
        <div><dt>{{ say("Recall") }}</dt><dd>{{ rate(effect.found, anomaly.length) }}</dd></div>
        <div><dt>F1</dt><dd>{{ share(2 * effect.found, effect.found + effect.alarms + anomaly.length) }}</dd></div>
      </dl>
      <div class="line">
        <q-btn unelevated no-caps color="primary"  :label="say('Use this threshold')" v-if="may" :disable="locked || !moved" @click="use(value)" />
        <q-btn flat no-caps  :label="say('Back to that in force')" :disable="!moved" @click="value = current" />
        <q-btn flat no-caps  :label="say('Use the trained one')" v-if="may && trained !== current" :disable="locked" @click="use(null)" />
      </div>
    </div>`,
  props: {
    normal: Array,
    anomaly: Array,
    current: Number,
    trained: Number,
    locked: Boolean,
    may: Boolean, // whether the visitor may use another threshold
  },
  emits: ["use"],
  data() {
    return { value: this.current, grabbed: false };
  },
  computed: {
    range() {
      const all = [...this.normal, ...this.anomaly, this.current, this.trained];
      const low = all.reduce((a, b) => Math.min(a, b));
      const high = all.reduce((a, b) => Math.max(a, b));
      const room = (high - low || high || 1) * 0.05;
      return [Math.max(0, low - room), high + room];
    },
    moved() {
      return this.value !== this.current;
    },
    position() {
      return Math.round(((this.value - this.range[0]) / (this.range[1] - this.range[0])) * STEPS);
    },
    bars() {
      const normal = this.counted(this.normal);
      const anomaly = this.counted(this.anomaly);
      const most = Math.max(1, ...normal, ...anomaly);
      const width = WIDTH / BINS;
      const drawn = (counts, up) =>
        counts
          .map((count, bin) => ({ count, bin }))
          .filter(({ count }) => count)
          .map(({ count, bin }) => {
            const height = Math.max(3, (count / most) * HALF);
            return { x: bin * width + 1, width: width - 2, y: up ? AXIS - height : AXIS, height };
          });
      return { anomaly: drawn(anomaly, true), normal: drawn(normal, false) };
    },
    // as the graph compares: in float32
    effect() {
      const limit = Math.fround(this.value);
      const called = (scores) => scores.filter((score) => Math.fround(score) >= limit).length;
      const found = called(this.anomaly);
      return { found, missed: this.anomaly.length - found, alarms: called(this.normal) };
    },
    description() {
      const { found, alarms } = this.effect;
      return say("Histogram of the scores. At {threshold}, {found} of {anomalies} anomalies are found, and {alarms} of {normal} normal images are false alarms.", { threshold: this.value.toPrecision(4), found, anomalies: this.anomaly.length, alarms, normal: this.normal.length });
    },
  },
  watch: {
    current(now) {
      this.value = now;
    },
  },
  methods: {
    x(score) {
      return ((score - this.range[0]) / (this.range[1] - this.range[0])) * WIDTH;
    },
    counted(scores) {
      const counts = Array(BINS).fill(0);
      for (const score of scores) counts[Math.min(BINS - 1, Math.floor((this.x(score) / WIDTH) * BINS))] += 1;
      return counts;
    },
    move(position) {
      this.value = this.range[0] + (position / STEPS) * (this.range[1] - this.range[0]);
    },
    grab(event) {
      this.grabbed = true;
      this.$refs.plot.setPointerCapture(event.pointerId);
      this.drag(event);
    },
    drag(event) {
      if (!this.grabbed) return;
      const place = this.$refs.plot.getBoundingClientRect();
      const share = (event.clientX - place.left) / place.width;
      this.move(Math.min(1, Math.max(0, share)) * STEPS);
    },
    rate(part, whole) {
      return whole ? say("{number} of {total}", { number: part, total: whole }) : say("not measurable");
    },
    share(part, whole) {
      return whole ? numberText(part / whole, 2) : say("not measurable");
    },
    use(threshold) {
      this.$emit("use", { threshold });
    },
  },
};
