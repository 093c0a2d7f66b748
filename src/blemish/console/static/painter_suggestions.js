// What a model would paint: shown as a stroke under way, which a click accepts or takes back.
import { unpacked } from "/console/static/mask_transfer.js";
import { request } from "/console/static/server.js";

const FIRST_TYPE = { name: "anomaly", color: "#23A436" }; // where a project has no anomaly type yet

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
      const known = this.types.find((type) => type.name === name)?.index ?? this.type;
      numbers[index] = known || this.numberOf(FIRST_TYPE);
    }
    if (!head.types.length) {
      this.note = say("Model {version} finds nothing to mark here.", { version: head.model });
    } else {
      this.mask.add(pixels, numbers);
      this.hidden = false;
      this.$refs.stage.focus({ preventScroll: true });
      if (this.mask.before.size) this.suggested = head.model;
      else this.note = say("Model {version} marks nothing that is not painted already.", { version: head.model });
    }
  },
  async acceptSuggestion() {
    this.suggested = "";
    this.finish();
    if (this.types.length) return;
    await this.changeTypes({ add: FIRST_TYPE.name });
    if (!this.problem) this.note = say('What is painted is called "{name}". Rename it if you like.', { name: FIRST_TYPE.name });
  },
  dropSuggestion() {
    if (!this.suggested) return;
    this.suggested = "";
    this.mask.cancel();
  },
};
