// The painter of regions: what of the images counts. It is the painter, with two meanings of the
// paint instead of anomaly types, and one mask whatever image lies below it.
import Painter from "/console/static/painter.js";
import { dropDraft } from "/console/static/painter_drafts.js";
import { KEYS } from "/console/static/painter_keys.js";
import { TEMPLATE } from "/console/static/region_template.js";

const UNUSED_KEYS = ["N A", "S"];

export default {
  ...Painter,
  template: TEMPLATE,
  data: () => ({ ...Painter.data(), keys: KEYS.filter(([key]) => !UNUSED_KEYS.includes(key)) }),
  computed: {
    ...Painter.computed,
    label: () => null,
    isAside: () => false,
    model() {
      return this.query.version;
    },
    stageTitle() {
      return say("Regions on {name}", { name: this.image.name });
    },
    needsPaint() {
      return this.model !== "" && !this.painted;
    },
  },
  methods: {
    ...Painter.methods,
    settle(stored) {
      Painter.methods.settle.call(this, stored);
      this.type = this.types.find(({ index }) => this.mask.counts[index])?.index ?? this.type;
    },
    // the paint has one meaning: what was painted before gets the new one
    choose(index) {
      for (const { index: other } of this.types) {
        if (this.ready && other !== index && this.mask.counts[other]) this.mask.exchange(other, index);
      }
      Painter.methods.choose.call(this, index);
      if (this.ready) this.finish();
    },
    async save() {
      if (!this.needsPaint) await Painter.methods.save.call(this);
    },
    // look at another image below the same regions
    async go(by) {
      if (this.loading || this.conflict || (by < 0 ? this.image.first : this.image.last)) return;
      const { mask, unsaved, image } = this;
      await this.visit(image.ref, by);
      if (!this.ready || !unsaved) return;
      if (mask.width !== this.mask.width || mask.height !== this.mask.height) {
        this.note = say("This image has another size. What you painted and did not save is on the other image.");
        return;
      }
      this.replace(mask.pixels);
      this.changed();
      dropDraft(image.mask);
    },
    suggest() {},
    setLabel() {}, // an image has no label here
    refreshTypes() {},
  },
};
