/**
 * Opens a sealed actor: AES-256-GCM under the person's key, with the nonce from the event's id (`infrastructure/log/sealing.py`).
 *
 * @import { Bytes } from "./bytes.js"
 * @typedef {{user: string, session?: string, impersonator?: string}} Actor
 */
import { utf8 } from "./bytes.js";

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SEPARATOR = "\x1f";

/** Throws an error with the name that Python's has. @param {Bytes} sealed @param {Bytes} key @param {unknown} eventId @returns {Promise<Actor>} */
export async function unseal(sealed, key, eventId) {
  if (typeof eventId !== "string") throw new TypeError("an event's id is a string");
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
    throw Object.assign(new Error("this key doesn't open it"), { name: "Unsealable" });
  }
}

/** The 16 bytes of a ULID: 26 characters of 5 bits, of which the first has 3. @param {string} ulid @returns {Bytes} */
function ulidBytes(ulid) {
  const digits = [...ulid.toUpperCase()].map((character) => CROCKFORD.indexOf(character));
  if (digits.length !== 26) throw Object.assign(new Error("not a ULID"), { name: "ValueError" });
  let number = digits.reduce((sum, digit) => (sum << 5n) | BigInt(Math.max(digit, 0)), 0n);
  const bytes = new Uint8Array(16);
  for (let at = 15; at >= 0; at--, number >>= 8n) bytes[at] = Number(number & 255n);
  return bytes;
}
