// What is painted and not saved yet, in the browser's own database: it survives a reload, a crash of
// the browser and a restart of the server. A draft: {version, body}, by the address of its mask;
// `body` is what would be sent, `version` that of the entry when it was opened.
const DATABASE = "blemish-drafts";
const STORE = "masks";

function opened() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function inStore(mode, act) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const asking = act(database.transaction(STORE, mode).objectStore(STORE));
      asking.onsuccess = () => resolve(asking.result);
      asking.onerror = () => reject(asking.error);
    });
  } finally {
    database.close();
  }
}

export const findDraft = (mask) => inStore("readonly", (store) => store.get(mask)).catch(() => undefined);
export const putDraft = (mask, draft) => inStore("readwrite", (store) => store.put(draft, mask)).catch(() => {});
export const dropDraft = (mask) => inStore("readwrite", (store) => store.delete(mask)).catch(() => {});
