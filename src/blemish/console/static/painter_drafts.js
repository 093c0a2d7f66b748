// What is painted and not saved yet, in the browser's own database: it survives a reload, a crash of
// the browser and a restart of the server. Each person has a database: who signs in at the same browser
// afterwards sees nothing of it, and who comes back finds it. A draft: {version, body, at}, by the
// address of its mask and the tab, as no tab may drop what another one painted; `body` is what would be
// sent, `version` that of the entry when it was opened, `at` when it was stored. While the page is left
// there is no time to compress: then it has `head` and `pixels` instead of `body`.
import { visitorName } from "/console/static/visitor_name.js";

const DATABASE = `blemish-drafts ${visitorName}`;
const STORE = "masks";

function tabName() {
  const name = sessionStorage.getItem("blemish-tab") ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  sessionStorage.setItem("blemish-tab", name);
  return name;
}

const TAB = tabName();
indexedDB.deleteDatabase("blemish-drafts"); // of earlier versions, which did not say whose they were
const adopted = new Map(); // address of a mask -> key of the draft of another tab that was taken up

function opened() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

// open for as long as the page is: what begins when the page is left has to be asked for at once
let connection = null;
opened().then(
  (database) => {
    connection = database;
    database.onclose = () => (connection = null);
  },
  () => {}, // drafts are not stored then
);

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

const keyOf = (mask) => `${mask}#${TAB}`;

// of this tab, else the newest of any tab; undefined if there is none
export async function findDraft(mask) {
  try {
    const own = await inStore("readonly", (store) => store.get(keyOf(mask)));
    if (own) return own;
    const range = IDBKeyRange.bound(`${mask}#`, `${mask}#\uffff`);
    const keys = [...(await inStore("readonly", (store) => store.getAllKeys(range))), mask]; // older ones have no tab
    const drafts = await Promise.all(keys.map((key) => inStore("readonly", (store) => store.get(key))));
    const found = drafts.map((draft, row) => ({ key: keys[row], draft })).filter(({ draft }) => draft);
    found.sort((one, other) => (other.draft.at ?? 0) - (one.draft.at ?? 0));
    if (found.length) adopted.set(mask, found[0].key);
    return found[0]?.draft;
  } catch {
    return undefined;
  }
}

export const putDraft = (mask, draft) =>
  inStore("readwrite", (store) => store.put({ ...draft, at: Date.now() }, keyOf(mask))).catch(() => {});

// for a page that is left: everything is asked for before this returns
export function putDraftAtOnce(mask, draft) {
  if (!connection) return;
  try {
    const transaction = connection.transaction(STORE, "readwrite");
    transaction.objectStore(STORE).put({ ...draft, at: Date.now() }, keyOf(mask));
    transaction.commit();
  } catch {
    // the browser has no room
  }
}

export async function dropDraft(mask) {
  const keys = [keyOf(mask), ...(adopted.has(mask) ? [adopted.get(mask)] : [])];
  adopted.delete(mask);
  for (const key of keys) await inStore("readwrite", (store) => store.delete(key)).catch(() => {});
}
