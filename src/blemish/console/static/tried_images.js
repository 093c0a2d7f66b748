// The images that somebody tries, with what a model said of them, in the browser's own database: they
// survive a reload and a restart of the server. Each person has a database. A card: {id, name, file, answer, label, added}, by the
// address of the model and its id.
import { visitorName } from "/console/static/visitor_name.js";

const DATABASE = `blemish-tried ${visitorName}`;
const STORE = "cards";
const MOST = 200; // cards of a model; the oldest go

indexedDB.deleteDatabase("blemish-tried"); // of earlier versions, which did not say whose they were

function opened() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

// null if the browser has no room or no database: then the page works without it
async function inStore(mode, act) {
  let database;
  try {
    database = await opened();
    return await new Promise((resolve, reject) => {
      const asking = act(database.transaction(STORE, mode).objectStore(STORE));
      asking.onsuccess = () => resolve(asking.result);
      asking.onerror = () => reject(asking.error);
    });
  } catch {
    return null;
  } finally {
    database?.close();
  }
}

const cardsOf = (model) => IDBKeyRange.bound([model], [model, []]);

export const dropCards = (model) => inStore("readwrite", (store) => store.delete(cardsOf(model)));

export function putCard(model, { id, name, file, answer, label, added }) {
  const stored = { id, name, file, answer: JSON.parse(JSON.stringify(answer)), label, added };
  return inStore("readwrite", (store) => store.put(stored, [model, id]));
}

// newest first
export async function findCards(model) {
  const cards = (await inStore("readonly", (store) => store.getAll(cardsOf(model)))) ?? [];
  const old = cards.slice(0, -MOST);
  if (old.length) await inStore("readwrite", (store) => store.delete(IDBKeyRange.bound([model], [model, old.at(-1).id])));
  return cards.slice(-MOST).reverse();
}
