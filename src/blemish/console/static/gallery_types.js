// The anomaly types of an image; where others of the set are painted, "unpainted" if it is not.
export function typesOf(entry, counts) {
  if (entry.mask) return entry.types.join(", ");
  return Object.keys(counts.types ?? {}).length ? "unpainted" : "";
}
