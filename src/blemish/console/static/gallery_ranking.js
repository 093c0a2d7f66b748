// How far the model in force has judged the images of the gallery, for orders that need it.
const LOOK_MS = 1000;
export const BY_MODEL = ["score", "suspect", "teaching"];

// methods of the gallery; `ranking`: {state, done, total, problem, may}, or null where no order needs it
export const RANKING = {
  async lookAtRanking() {
    clearTimeout(this.ranked);
    if (!BY_MODEL.includes(this.sort)) return void (this.ranking = null);
    const before = this.ranking?.state;
    try {
      this.ranking = await this.request("/ranking");
    } catch (error) {
      return void (this.problem = error.message);
    }
    if (this.ranking.state === "running") this.ranked = setTimeout(() => this.lookAtRanking(), LOOK_MS);
    else if (before === "running") this.ask();
  },
  async rank() {
    try {
      await this.request("/ranking", {});
    } catch (error) {
      this.problem = error.message;
    }
    this.lookAtRanking();
  },
};
