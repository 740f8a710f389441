/**
 * Stored events, decoded as `infrastructure/log/event_codec.py` does for evidence.
 *
 * @import { Bytes } from "./bytes.js"
 * @import { Leaf } from "./merkle.js"
 * @import { Channel } from "./service.js"
 * @typedef {{user: string, session?: string, impersonator?: string}} Actor
 * @typedef {{topic: string, stream: string, version: bigint, at: string, channel: string, toggle: string, enabled: boolean,
 *   actor: Actor | undefined, impersonated: boolean, organization: string | null, source: string, request_id: string,
 *   catalogue_version: number, channels: Channel[]}} StoredEvent
 */
import { utf8 } from "./bytes.js";

export const OPENED = "notification-preferences.opened";
export const TOGGLED = "notification-preferences.toggled";
export const ERASED = "notification-preferences.erased";
export const PUBLISHED = "notification-preferences.catalogue-published";
const TOPICS = new Set([OPENED, TOGGLED, ERASED, PUBLISHED, "notification-preferences.continued"]);

/** Who acted, where the key that says so was destroyed. */
const ERASED_ACTOR = { user: "erased" };

/** Throws an error with one phrase for an event that can't be read. @param {Leaf} leaf @param {Bytes | null} key @returns {Promise<StoredEvent>} */
export async function decodeEvent(leaf, key) {
  try {
    if (!TOPICS.has(leaf.topic)) throw named("KeyError");
    const fields = parsed(leaf.state);
    const at = member(member(fields, "timestamp"), "_data_");
    if (typeof at !== "string") throw named("TypeError");
    if (!isInstant(at)) throw named("ValueError");
    const sealed = leaf.sealedActor.length > 0;
    const actor = !sealed ? fields.actor : key ? await unseal(leaf.sealedActor, key, member(fields, "event_id")) : ERASED_ACTOR;
    return { organization: null, ...fields, at, actor, impersonated: Boolean(fields.impersonated), topic: leaf.topic, stream: leaf.stream, version: leaf.version };
  } catch (error) {
    const reason = error instanceof Error && error.name !== "RangeError" ? error.name : "ValueError";
    throw new RangeError(`${leaf.topic} of stream ${leaf.stream}, version ${leaf.version}: ${reason}`);
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw named("JSONDecodeError");
  }
}

/** @param {any} object @param {string} name @returns {unknown} */
function member(object, name) {
  if (typeof object !== "object" || object === null || Array.isArray(object)) throw named("TypeError");
  if (!Object.hasOwn(object, name)) throw named("KeyError");
  return object[name];
}

/** An error with the name that Python's has. @param {string} name */
const named = (name) => Object.assign(new Error(name), { name });

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SEPARATOR = "\x1f";

/**
 * The actor: AES-256-GCM under the person's key, with the nonce from the event's id (`infrastructure/log/sealing.py`).
 *
 * @param {Bytes} sealed @param {Bytes} key @param {unknown} eventId @returns {Promise<Actor>}
 */
async function unseal(sealed, key, eventId) {
  if (typeof eventId !== "string") throw named("TypeError");
  const iv = ulidBytes(eventId).slice(4);
  const opened = await open(sealed, key, iv, utf8(eventId));
  const [user, session, impersonator] = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(opened).split(SEPARATOR);
  if (impersonator === undefined) return session === undefined ? { user } : { user, session };
  return session ? { user, impersonator, session } : { user, impersonator };
}

/** @param {Bytes} sealed @param {Bytes} key @param {Bytes} iv @param {Bytes} additionalData */
async function open(sealed, key, iv, additionalData) {
  try {
    const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
    return await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, imported, sealed);
  } catch {
    throw named("Unsealable");
  }
}

/** The 16 bytes of a ULID: 26 characters of 5 bits, of which the first has 3. @param {string} ulid @returns {Bytes} */
function ulidBytes(ulid) {
  const digits = [...ulid.toUpperCase()].map((character) => CROCKFORD.indexOf(character));
  if (digits.length !== 26) throw named("ValueError");
  let number = digits.reduce((sum, digit) => (sum << 5n) | BigInt(Math.max(digit, 0)), 0n);
  const bytes = new Uint8Array(16);
  for (let at = 15; at >= 0; at--, number >>= 8n) bytes[at] = Number(number & 255n);
  return bytes;
}

/** An instant as Python's `isoformat` writes it. It stays text, because a JavaScript `Date` has no microseconds. */
const INSTANT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{6})?(?:[+-]\d\d:\d\d(?::\d\d(?:\.\d{6})?)?)?$/;

/** @param {unknown} text @returns {text is string} */
export function isInstant(text) {
  const found = typeof text === "string" ? INSTANT.exec(text) : null;
  if (!found) return false;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  const last = [31, year % 4 || (!(year % 100) && year % 400) ? 28 : 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return year > 0 && day > 0 && day <= (last ?? 0) && hour < 24 && minute < 60 && second < 60;
}

/** To the second. @param {string} instant */
export const toTheSecond = (instant) => instant.slice(0, 19).replace("T", " ");
