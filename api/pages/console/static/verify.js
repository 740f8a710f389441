/**
 * Verifies an evidence bundle in the browser, offline, as `preferences audit verify-bundle` does: the same files are refused, with the
 * same sentences. `application/evidence/bundle.py` is its model, and a test compares both.
 *
 * @import { Bytes } from "./bytes.js"
 * @import { Bundle, Proven } from "./bundle.js"
 * @import { StoredEvent } from "./stored_event.js"
 * @import { Checkpoint, VerifierKey } from "./note.js"
 * @typedef {{bundle: Bundle, checkpoint: Checkpoint, events: StoredEvent[], catalogues: StoredEvent[]}} Opened
 */
import { BadBundle, catalogueStream, parseBundle, streamId } from "./bundle.js";
import { includes, leafHash } from "./merkle.js";
import { openNote, parseCheckpoint, parseKey } from "./note.js";
import { ERASED, OPENED, PUBLISHED, TOGGLED, decodeEvent } from "./stored_event.js";

/**
 * Everything that the bundle proves. Throws an error whose message is the sentence of `verify-bundle`.
 *
 * @param {Bytes} data @param {string} publicKey @returns {Promise<Opened>}
 */
export async function verifyBundle(data, publicKey) {
  const key = await parseKey(publicKey);
  const bundle = parseBundle(data);
  const checkpoint = await signed(bundle, key);
  if (checkpoint.origin !== key.name) throw new BadBundle(`the checkpoint is one of ${checkpoint.origin}`);
  for (const proven of [...bundle.events, ...bundle.catalogues]) await prove(proven, checkpoint);
  const stream = await streamId(bundle.organization, bundle.user);
  follow(bundle.events, stream, "the user");
  follow(bundle.catalogues, await catalogueStream(), "the catalogue");
  if (bundle.events.some(({ leaf }, before) => leaf.version !== BigInt(before + 1))) {
    throw new BadBundle("events of the user were left out");
  }
  const keys = keysOf(bundle);
  const catalogues = await decoded(bundle.catalogues, () => null);
  const events = await decoded(bundle.events, (at) => keys[at]);
  for (const event of events) await belong(event, bundle, stream);
  return {
    bundle,
    checkpoint,
    events: events.filter(({ topic }) => [OPENED, TOGGLED, ERASED].includes(topic)),
    catalogues: catalogues.filter(({ topic }) => topic === PUBLISHED),
  };
}

/** @param {Bundle} bundle @param {VerifierKey} key */
async function signed(bundle, key) {
  try {
    return parseCheckpoint(await openNote(bundle.checkpoint, key));
  } catch (error) {
    throw new BadBundle(`the checkpoint is ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {Proven} proven @param {Checkpoint} checkpoint */
async function prove({ index, leaf, proof }, checkpoint) {
  const hash = await leafHash(leaf);
  if (!(await includes(checkpoint.root, checkpoint.size, index, hash, proof))) {
    throw new BadBundle(`the event at position ${leaf.position} is not in the log that was signed`);
  }
}

/** Checks that the events are all of one stream, in the order of the stream and of the log. @param {Proven[]} events @param {string} stream @param {string} whose */
function follow(events, stream, whose) {
  if (events.some(({ leaf }) => leaf.stream !== stream)) throw new BadBundle(`an event is not of ${whose}`);
  events.slice(1).forEach((after, at) => {
    const before = events[at];
    if (before.index >= after.index || before.leaf.position >= after.leaf.position || before.leaf.version >= after.leaf.version) {
      throw new BadBundle(`the events of ${whose} are out of order`);
    }
  });
}

/** For each event, the person's key; null up to and including the person's last erasure. @param {Bundle} bundle */
function keysOf({ events, key }) {
  const since = events.map(({ leaf }) => leaf.topic).lastIndexOf(ERASED) + 1;
  const sealed = events.slice(since).some(({ leaf }) => leaf.sealedActor.length > 0);
  if (sealed !== (key !== null)) {
    throw new BadBundle(sealed ? "the person's key is missing" : "there is a key that opens nothing");
  }
  return events.map((_, at) => (at < since ? null : key));
}

/** @param {Proven[]} events @param {(at: number) => Bytes | null} key */
async function decoded(events, key) {
  const found = [];
  for (const [at, { leaf }] of events.entries()) {
    try {
      found.push(await decodeEvent(leaf, key(at)));
    } catch (error) {
      throw new BadBundle(`an event can't be read: ${/** @type {Error} */ (error).message}`);
    }
  }
  return found;
}

/** @param {StoredEvent} event @param {Bundle} bundle @param {string} stream */
async function belong({ topic, organization, actor, ...event }, bundle, stream) {
  if (![OPENED, TOGGLED, ERASED].includes(topic)) return;
  // The actor of an erased person names no user, so any stream can be its own.
  const nameless = topic === ERASED || (Object.keys(actor ?? {}).length === 1 && ["erased", "unreadable"].includes(actor?.user ?? ""));
  if (organization !== bundle.organization || event.stream !== stream || !(nameless || (await streamId(organization, actor?.user ?? "")) === stream)) {
    throw new BadBundle("an event says that it is not of the user");
  }
}
