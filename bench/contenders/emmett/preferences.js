// Event sourcing in Node as the manual of Emmett shows it: a command handler that folds the whole stream, and a read model that an inline
// projection keeps in the transaction of the events. No snapshots, and the defaults of the library everywhere.

import { CommandHandler, projections } from "@event-driven-io/emmett";
import { getPostgreSQLEventStore, pongoSingleStreamProjection } from "@event-driven-io/emmett-postgresql";
import { pongoClient } from "@event-driven-io/pongo";

import { DEFAULTS, serve } from "../node/service.js";

const COLLECTION = "preferences";

const initialState = () => ({ email: {} });

const evolve = (state, { type, data }) =>
  type === "Toggled" ? { ...state, email: { ...state.email, [data.toggle]: data.enabled } } : state;

/** An event for each toggle that changes. */
const choose = (state, email) =>
  Object.entries(email)
    .filter(([toggle, enabled]) => state.email[toggle] !== enabled)
    .map(([toggle, enabled]) => ({ type: "Toggled", data: { toggle, enabled, chosenAt: new Date() } }));

const current = pongoSingleStreamProjection({
  collectionName: COLLECTION,
  canHandle: ["Toggled"],
  evolve: (document, event) => evolve(document ?? initialState(), event),
});

const connectionString = process.env.DATABASE_URL;
const eventStore = getPostgreSQLEventStore(connectionString, { projections: projections.inline([current]) });
await eventStore.schema.migrate();
const pongo = pongoClient(connectionString);
const documents = pongo.db().collection(COLLECTION);

const handle = CommandHandler({ evolve, initialState });

const streamOf = ({ organization, user }) => `preferences:${organization}:${user}`;

await serve({
  read: async (caller) => {
    const found = await documents.findOne({ _id: streamOf(caller) });
    return { ...DEFAULTS, ...found?.email };
  },
  change: async (caller, email) => {
    const { newState } = await handle(eventStore, streamOf(caller), (state) => choose(state, email));
    return { ...DEFAULTS, ...newState.email };
  },
  close: async () => {
    await pongo.close();
    await eventStore.close();
  },
});
