// Scores of the test images by their label, and a threshold that is dragged or moved by the keyboard.
import { echarts } from "nicegui-echart";

const BINS = 40;
const STEPS = 1000;
const GREY = "var(--quiet)";

// where something is on the axis of the scores, which lies over that of the bins
function mark(score, color, type) {
  return {
    type: "line",
    xAxisIndex: 1,
    data: [],
    markLine: {
      silent: true,
      symbol: type === "solid" ? ["none", "circle"] : "none",
      label: { show: false },
      lineStyle: { color, width: 2, type },
      itemStyle: { color },
      data: score === null ? [] : [{ xAxis: score }],
    },
  };
}

export default {
  template: `
    <div class="threshold">
      <div class="key"><span><i class="anomaly"></i>{{ say("anomaly") }}</span><span><i class="normal"></i>{{ say("normal") }}</span></div>
      <div ref="plot" class="plot" role="img" :aria-label="description"
           @pointerdown="grab" @pointermove="drag" @pointerup="grabbed = false" @pointercancel="grabbed = false"></div>
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
    bins() {
      return { anomaly: this.counted(this.anomaly), normal: this.counted(this.normal) };
    },
    options() {
      const { anomaly, normal } = this.bins;
      const most = Math.max(1, ...anomaly, ...normal);
      const bar = { type: "bar", stack: "images", barWidth: "90%", barMinHeight: 3, emphasis: { disabled: true } };
      const axis = { axisLabel: { color: GREY }, axisLine: { onZero: false, lineStyle: { color: GREY } } };
      const [min, max] = this.range;
      return {
        animation: false,
        grid: { left: 44, right: 12, top: 8, bottom: 26 },
        tooltip: {
          trigger: "axis",
          confine: true,
          backgroundColor: "var(--surface)",
          borderColor: "var(--line)",
          textStyle: { color: "var(--text)" },
          formatter: ([{ dataIndex }]) => this.bin(dataIndex),
        },
        xAxis: [
          { type: "category", show: false, data: anomaly.map((_, bin) => bin) },
          { ...axis, type: "value", position: "bottom", min, max, splitLine: { show: false },
            axisPointer: { show: false }, axisLabel: { color: GREY, showMinLabel: false, showMaxLabel: false } },
        ],
        yAxis: {
          ...axis, type: "value", min: -most, max: most, interval: most, splitLine: { lineStyle: { color: "var(--line)" } },
          axisLabel: { color: GREY, formatter: (count) => Math.abs(count) },
        },
        series: [
          { ...bar, name: "anomaly", data: anomaly.map((count) => count || null), itemStyle: { color: "var(--anomaly)" } },
          { ...bar, name: "normal", data: normal.map((count) => -count || null), itemStyle: { color: "var(--normal)" } },
          mark(this.trained === this.current && !this.moved ? null : this.trained, GREY, "dashed"),
          mark(this.value, "var(--text)", "solid"),
        ],
      };
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
    options(now) {
      this.chart.setOption(now);
    },
  },
  mounted() {
    this.chart = echarts.init(this.$refs.plot, null, { renderer: "svg" });
    this.chart.setOption(this.options);
    this.resized = new ResizeObserver(() => this.chart.resize());
    this.resized.observe(this.$refs.plot);
  },
  beforeUnmount() {
    this.resized.disconnect();
    this.chart.dispose();
  },
  methods: {
    counted(scores) {
      const counts = Array(BINS).fill(0);
      const [low, high] = this.range;
      for (const score of scores) counts[Math.min(BINS - 1, Math.floor(((score - low) / (high - low)) * BINS))] += 1;
      return counts;
    },
    bin(number) {
      const [low, high] = this.range;
      const [from, to] = [number, number + 1].map((edge) => (low + (edge / BINS) * (high - low)).toPrecision(3));
      return `${from} – ${to}<br>${say("anomaly")}: ${this.bins.anomaly[number]}<br>${say("normal")}: ${this.bins.normal[number]}`;
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
      const score = this.chart.convertFromPixel({ xAxisIndex: 1 }, event.clientX - place.left);
      this.value = Math.min(this.range[1], Math.max(this.range[0], score));
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
