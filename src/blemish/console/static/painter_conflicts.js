// Two people, or two tabs, on one image: the second one sees both versions and decides.

// methods of the painter; `sides` has both: {mine: {head, pixels}, theirs: {head, pixels}}
export const CONFLICT_METHODS = {
  async decideAgain(error) {
    try {
      const mine = { head: { label: this.said }, pixels: this.mask.pixels.slice() };
      this.decide(mine, await this.fetchMask());
    } catch {
      this.problem = say("Not saved. {problem}", { problem: error.message });
    }
  },
  decide(mine, theirs) {
    clearTimeout(this.drafting);
    this.drafting = null;
    this.sides = { mine, theirs };
    this.showSide("mine");
  },
  showSide(side) {
    const { head, pixels } = this.sides[side];
    this.conflict = side;
    this.replace(pixels.slice());
    this.said = head.label;
    this.refresh();
  },
  async takeMine() {
    this.showSide("mine");
    this.version = this.sides.theirs.head.version;
    this.savedSaid = this.sides.theirs.head.label;
    this.conflict = "";
    this.agreed = true;
    await this.save();
  },
  takeTheirs() {
    this.showSide("theirs");
    this.conflict = "";
    this.settle(this.sides.theirs);
    this.keepDraft();
  },
};
