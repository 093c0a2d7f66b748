// The changes that somebody makes in the gallery. They show at once and are sent behind, one request
// at a time; what gathers meanwhile goes with the next. What the server refuses is taken back.
//
// A change: {kind: "label" | "remove" | "undo", view, indexes: Set of positions in the view,
// label of a "label", `of` which change an "undo" is, before: position -> label}; once it is sent,
// `sent`; once it is saved, `undo`, what the server has to be sent to undo it: this tab keeps that
// over a reload of the page and a restart of the server. `refs` are the addresses of the images with
// their labels before, if all are known.

const MOST_STORED = 50; // changes that a reload of the page can still undo
const LOOK_MS = 30; // between two looks at whether all is saved

export class Changes {
  // request(rest, body) -> members of the answer, or throws
  // changed(): something here is new
  // saved(change): before it goes from `pending`
  // stale(all): the server knows better what is shown; all: what there is, and in which order
  // standing(answer): counts came along
  // key: under which this tab stores what can be undone
  constructor(calls, key) {
    this.calls = calls;
    this.key = key;
    this.pending = []; // not saved yet, oldest first
    this.done = this.stored(); // to undo, oldest first
    this.saving = false;
    this.problem = "";
  }

  stored() {
    const changes = JSON.parse(sessionStorage.getItem(this.key) ?? "[]");
    return changes.map(({ kind, undo }) => ({ kind, undo, view: "", indexes: new Set() }));
  }

  // as much as the browser takes, newest first
  store() {
    let last = this.done.slice(-MOST_STORED).map(({ kind, undo }) => ({ kind, undo }));
    last = last.slice(last.findLastIndex(({ undo }) => !undo || undo.undo) + 1); // nothing before it can be undone
    for (; ; last = last.slice(1)) {
      try {
        return sessionStorage.setItem(this.key, JSON.stringify(last));
      } catch (error) {
        if (!last.length) throw error;
      }
    }
  }

  add(change) {
    this.pending.push(change);
    if (change.kind !== "undo") this.done.push(change);
    this.calls.changed();
    this.save();
  }

  undo() {
    const of = this.done.pop();
    if (!of) return;
    if (this.pending.includes(of) && !of.sent) {
      this.pending.splice(this.pending.indexOf(of), 1); // nobody has heard of it
      this.calls.changed();
      return;
    }
    this.add({ kind: "undo", of, indexes: of.indexes, view: of.view });
  }

  // The label of an image as its person sees it, `known` being what the server said last.
  labelOf(view, index, known) {
    for (let place = this.pending.length - 1; place >= 0; place--) {
      const change = this.pending[place];
      if (change.view !== view || change.kind === "remove" || !change.indexes.has(index)) continue;
      if (change.kind === "label") return change.label;
      if (change.of.before?.has(index)) return change.of.before.get(index);
    }
    return known;
  }

  removes(view, index) {
    return this.pending.some((change) => change.kind === "remove" && change.view === view && change.indexes.has(index));
  }

  async idle() {
    while (this.pending.length) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  async save() {
    if (this.saving) return;
    this.saving = true;
    this.problem = "";
    let stale = "";
    while (this.pending.length) {
      const scope = await this.sendSome();
      if (stale !== "all") stale = scope || stale;
    }
    this.saving = false;
    this.store();
    this.calls.changed();
    if (stale) this.calls.stale(stale === "all");
  }

  // Sends what can go in one request; returns what is stale then: "" nothing, "shown" or "all".
  async sendSome() {
    const until = this.pending.findIndex((change) => change.kind === "remove");
    const some = this.pending.slice(0, until < 0 ? undefined : Math.max(1, until));
    const removing = some[0].kind === "remove";
    for (const change of some) change.sent = true;
    this.calls.changed();
    try {
      const body = removing ? step(some[0]) : { changes: some.map(step) };
      const answer = await this.calls.request(removing ? "/removal" : "/changes", body);
      answer.undos.forEach((undo, place) => (some[place].undo = undo));
      some.forEach(this.calls.saved);
      this.calls.standing(answer);
      const undone = some.filter((change) => change.kind === "undo");
      if (removing || undone.some((change) => change.of.kind === "remove")) return "all";
      return undone.length ? "shown" : "";
    } catch (error) {
      this.problem = say("Not saved, and taken back: {problem}", { problem: error.message });
      this.done = this.done.filter((change) => !some.includes(change));
      this.pending = this.pending.filter((change) => !some.includes(change.of));
      return "shown";
    } finally {
      this.pending = this.pending.filter((change) => !some.includes(change));
    }
  }
}

function step(change) {
  if (change.kind === "undo") return change.of.undo;
  if (change.refs) return { labels: Object.fromEntries(Object.keys(change.refs).map((ref) => [ref, change.label])) };
  const members = { view: change.view, ranges: rangesOf(change.indexes) };
  return change.kind === "label" ? { ...members, label: change.label } : members;
}

function rangesOf(indexes) {
  const ranges = [];
  for (const index of [...indexes].sort((one, other) => one - other)) {
    const last = ranges[ranges.length - 1];
    if (last && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges;
}
