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
import { ERASED, OPENED, PUBLISHED, TOGGLED, decodeEvent, toTheSecond } from "./stored_event.js";

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

/** Sources of changes that the bearer of an unsubscribe link made. */
const BY_LINK = new Set(["one_click", "link"]);

export const COLUMNS = ["when (UTC)", "toggle", "choice", "since then", "who", "session", "source", "told", "request"];

/** What a verified bundle proves, in the lines of `verify-bundle`: `head` and `foot` stand around the table of `rows`. @param {Opened} opened */
export function verdict({ bundle, checkpoint, events, catalogues }) {
  const where = bundle.organization === null ? "without an organization" : `of ${bundle.organization}`;
  const last = events.length;
  const found = consents(events, catalogues);
  return {
    head: [
      `${bundle.user} ${where}: ${counted(last)}, all in the log of ${checkpoint.origin}`,
      `as signed on ${toTheSecond(checkpoint.time)} UTC over ${counted(checkpoint.size)}, up to position ${checkpoint.position}`,
    ],
    rows: found.map((consent) => row(consent, last)),
    foot: [
      ...new Set(found.map(toldIn)),
      `No event of this user up to version ${last} was left out: their versions have no gap.`,
      "Later changes are not excluded, not even up to the day of the signature: the sender of the file can have left the last events out.",
    ],
  };
}

/** @param {number | bigint} count */
const counted = (count) => `${count} ${String(count) === "1" ? "event" : "events"}`;

/** The choices of one stream, oldest first. @param {StoredEvent[]} events @param {StoredEvent[]} catalogues */
function consents(events, catalogues) {
  const published = new Map(catalogues.map((one) => [one.catalogue_version, togglesOf(one)]));
  /** @type {Map<string, string>} */
  const replaced = new Map();
  const found = [];
  for (const event of events.filter((one) => one.topic === TOGGLED).reverse()) {
    const path = `${event.channel}.${event.toggle}`;
    found.push({
      at: event.at,
      path,
      enabled: event.enabled,
      user: event.actor?.user ?? "",
      session: event.actor?.session,
      impersonator: event.actor?.impersonator,
      impersonated: event.impersonated || event.actor?.impersonator !== undefined,
      source: event.source,
      requestId: event.request_id,
      catalogueVersion: event.catalogue_version,
      told: published.get(event.catalogue_version)?.get(path),
      replacedAt: replaced.get(path),
    });
    replaced.set(path, event.at);
  }
  return found.reverse();
}

/** @param {StoredEvent} catalogue */
function togglesOf(catalogue) {
  return new Map(catalogue.channels.flatMap((channel) => channel.toggles.map((toggle) => [`${channel.name}.${toggle.name}`, toggle])));
}

/** What the catalogue told about the toggle. @param {ReturnType<typeof consents>[number]} consent */
function toldIn({ catalogueVersion, path, told }) {
  const said = told?.title !== undefined ? `"${told.title}" (${told.description})` : told ? "published without words" : "not in the log";
  return `Catalogue ${catalogueVersion}, ${path}: ${said}`;
}

/**
 * The consent in the words of `verify-bundle`. `last` is the version up to which there is proof.
 *
 * @param {ReturnType<typeof consents>[number]} consent @param {number} last
 */
function row(consent, last) {
  const { impersonated, impersonator, user, replacedAt, enabled } = consent;
  return [
    toTheSecond(consent.at),
    consent.path,
    word(enabled),
    replacedAt === undefined ? `not changed up to version ${last}` : `${enabled ? "withdrawn" : "changed"} ${toTheSecond(replacedAt)}`,
    impersonated ? `${impersonator || "support"} for ${user}` : BY_LINK.has(consent.source) ? `unsubscribe link of ${user}` : user,
    consent.session || "-",
    consent.source,
    `catalogue ${consent.catalogueVersion}, default ${word(consent.told?.default)}`,
    consent.requestId,
  ];
}

/** @param {boolean | undefined} enabled */
const word = (enabled) => (enabled === undefined ? "unknown" : enabled ? "on" : "off");
