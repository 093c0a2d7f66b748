// The anomaly types in the painter: which there are, which is painted with, and their changes.
import { sendJson } from "/console/static/server.js";

const MOST_NUMBERS = 255; // a pixel is a byte

// methods of the painter
export const TYPE_METHODS = {
  // the number of a type in the mask, the same for as long as the page is open
  numberOf({ name, color }) {
    if (!this.numbers.has(name)) {
      if (this.numbers.size >= MOST_NUMBERS) throw new Error(say("Reload the page: it has seen too many anomaly types."));
      this.numbers.set(name, this.numbers.size + 1);
    }
    const index = this.numbers.get(name);
    if (!this.known.has(index)) this.learn({ index, name, color, used: 0 });
    return index;
  },
  learn(type) {
    this.known.set(type.index, type);
    this.view.paintIn([...this.known.values()].map(({ index, color }) => [index, color]));
  },
  offer(types) {
    this.types = types.map((type) => ({ ...type, index: this.numberOf(type) }));
    for (const type of this.types) this.learn(type);
    if (!this.types.some((type) => type.index === this.type)) this.type = this.types[0]?.index ?? 0;
  },
  async changeTypes(change) {
    try {
      const answer = await (await sendJson(this.typesUrl, change)).json();
      if (change.rename) this.renumber(change.rename[0], answer.name);
      this.offer(answer.types);
      this.problem = "";
      return answer.name;
    } catch (error) {
      this.problem = error.message;
      return "";
    }
  },
  renumber(old, name) {
    const index = this.numbers.get(old);
    if (index === undefined || name === old) return;
    this.numbers.delete(old);
    this.numbers.set(name, index);
  },
  // how often each type is used, after a save
  async refreshTypes() {
    const parameters = new URLSearchParams({ ...this.query, ref: this.image.ref, view: this.viewName });
    const answer = await fetch(`${this.source}?${parameters}`).catch(() => null);
    if (answer?.ok) this.offer((await answer.json()).types);
  },
  choose(index) {
    this.type = index;
    if (this.tool === "eraser") this.tool = "brush";
  },
  nextType(by) {
    const at = this.types.findIndex((type) => type.index === this.type);
    const next = this.types[(at + by + this.types.length) % this.types.length];
    if (next) this.choose(next.index);
  },
  async add() {
    const name = await this.changeTypes({ add: this.addedName.trim() });
    if (!name) return;
    this.addedName = "";
    this.choose(this.numbers.get(name));
    this.$refs.stage.focus({ preventScroll: true });
  },
  drop(type) {
    return this.changeTypes({ drop: type.name });
  },
  startRenaming(type) {
    this.renaming = type.index;
    this.newName = type.name;
  },
  async rename(type) {
    const name = this.newName.trim();
    this.renaming = 0;
    if (!name || name === type.name) return;
    await this.save(); // or the entry would be a newer one than the one that was opened
    await this.changeTypes({ rename: [type.name, name] });
    if (!this.unsaved && this.ready) this.version = (await this.fetchMask()).head.version;
  },
  focusIt(input) {
    if (!input || document.activeElement === input) return;
    input.focus();
    input.select();
  },
};
