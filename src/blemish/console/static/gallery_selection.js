// Which images of the gallery are selected: one, a range, or all; methods of its component.
export const SELECTION = {
  select(indexes) {
    this.selected = new Set(indexes);
    this.selectedCount = this.selected.size;
    this.draw();
  },
  clear() {
    this.select([]);
  },
  range(index) {
    const [first, last] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    this.select(Array.from({ length: last - first + 1 }, (_, step) => first + step));
  },
  toggle(index) {
    const selected = new Set(this.selected);
    if (!selected.delete(index)) selected.add(index);
    this.anchor = index;
    this.select(selected);
  },
  selectAll() {
    this.select(Array.from({ length: this.total ?? 0 }, (_, index) => index));
  },
  indexAt(event) {
    const cell = event.target.closest?.("[data-index]");
    return cell ? Number(cell.dataset.index) : null;
  },
  clicked(event) {
    const index = this.indexAt(event);
    if (index === null) return;
    this.cursor = index;
    if (event.shiftKey) return this.range(index);
    if (event.ctrlKey || event.metaKey) return this.toggle(index);
    this.anchor = index;
    this.select([index]);
  },
};
