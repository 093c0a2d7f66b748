// What a model would paint: shown as a stroke under way, which a click accepts or takes back.
import { unpacked } from "/console/static/mask_transfer.js";
import { request } from "/console/static/server.js";

// methods of the painter
export const SUGGESTION_METHODS = {
  async suggest() {
    if (!this.ready || !this.mayPaint || this.suggesting) return;
    const address = this.image.suggestion;
    Object.assign(this, { suggesting: true, problem: "", note: "" });
    try {
      const suggestion = await unpacked(await (await request(address)).blob());
      if (this.image.suggestion === address && this.ready) this.showSuggestion(suggestion);
    } catch (error) {
      this.problem = error.message;
    } finally {
      this.suggesting = false;
    }
  },
  showSuggestion({ head, pixels }) {
    const numbers = new Uint8Array(256);
    for (const { index, name } of head.types) {
      numbers[index] = this.types.find((type) => type.name === name)?.index ?? this.type;
    }
    if (!head.types.length) {
      this.note = `Model ${head.model} finds nothing to mark here.`;
    } else if (!numbers.some(Boolean)) {
      this.askForType();
    } else {
      this.mask.add(pixels, numbers);
      this.hidden = false;
      this.$refs.stage.focus({ preventScroll: true });
      if (this.mask.before.size) this.suggested = head.model;
      else this.note = `Model ${head.model} marks nothing that is not painted already.`;
    }
  },
  acceptSuggestion() {
    this.suggested = "";
    this.finish();
  },
  dropSuggestion() {
    if (!this.suggested) return;
    this.suggested = "";
    this.mask.cancel();
  },
};
