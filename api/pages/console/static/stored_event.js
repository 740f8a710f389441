/**
 * Stored events, decoded as `infrastructure/log/event_codec.py` does for evidence.
 *
 * @import { Bytes } from "./bytes.js"
 * @import { Leaf } from "./leaf.js"
 * @import { Actor } from "./unseal.js"
 * @typedef {{name: string, title?: string, description?: string, default: boolean, mandatory: boolean}} ToggleWords
 * @typedef {{name: string, title?: string, toggles: ToggleWords[]}} ChannelWords
 * @typedef {object} StoredEvent
 * @property {string} topic
 * @property {string} stream
 * @property {bigint} version
 * @property {string} at
 * @property {string} channel
 * @property {string} toggle
 * @property {boolean} enabled
 * @property {Actor | undefined} actor
 * @property {boolean} impersonated
 * @property {string | null} organization
 * @property {string} source
 * @property {string} request_id
 * @property {number} catalogue_version
 * @property {ChannelWords[]} channels
 */
import { isInstant } from "./instant.js";
import { unseal } from "./unseal.js";

export const OPENED = "notification-preferences.opened";
export const TOGGLED = "notification-preferences.toggled";
export const ERASED = "notification-preferences.erased";
export const PUBLISHED = "notification-preferences.catalogue-published";
const TOPICS = new Set([OPENED, TOGGLED, ERASED, PUBLISHED, "notification-preferences.continued"]);

/** Who acted, where the key that says so was destroyed. */
const NOBODY = { user: "erased" };

/** Throws an error with one phrase for an event that can't be read. @param {Leaf} leaf @param {Bytes | null} key @returns {Promise<StoredEvent>} */
export async function decodeEvent(leaf, key) {
  try {
    if (!TOPICS.has(leaf.topic)) throw named("KeyError");
    const fields = parsed(leaf.state);
    const at = member(member(fields, "timestamp"), "_data_");
    if (typeof at !== "string") throw named("TypeError");
    if (!isInstant(at)) throw named("ValueError");
    const sealed = leaf.sealedActor.length > 0;
    const actor = !sealed ? fields.actor : key ? await unseal(leaf.sealedActor, key, member(fields, "event_id")) : NOBODY;
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
