/** The ids of streams, as UUIDs (RFC 9562, section 5.5), and what Python takes for one. */
import { digest, fromHex, hex, joined, utf8 } from "./bytes.js";

const STREAMS = fromHex("b2a5e1f26d0b5a6f9c5e6f5c8d1f3a77");

/** @param {string} name */
async function named(name) {
  const key = (await digest("SHA-1", joined(STREAMS, utf8(name)))).slice(0, 16);
  key[6] = (key[6] & 0x0f) | 0x50;
  key[8] = (key[8] & 0x3f) | 0x80;
  return hex(key).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** @param {string | null} organization @param {string} user */
export const streamId = (organization, user) => named(`[${ascii(organization)},${ascii(user)}]`);

/** The stream of the catalogue. */
export const catalogueStream = () => named("catalogue");

/** JSON with all characters other than ASCII escaped. @param {string | null} value */
function ascii(value) {
  return JSON.stringify(value).replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * The UUID in its usual form. A text that only Python's `UUID` would take comes back as it is: then the bundle isn't the exact text,
 * which is another sentence than that it is none.
 *
 * @param {unknown} value
 */
export function uuid(value) {
  if (typeof value !== "string") throw new TypeError("a stream is a string");
  const digits = [...value.replaceAll("urn:", "").replaceAll("uuid:", "").replace(/^[{}]+|[{}]+$/g, "").replaceAll("-", "")];
  const number = digits.join("").replace(/\p{Nd}/gu, "0").trim();
  if (digits.length !== 32 || !/^\+?(0[xX]_?)?[0-9A-Fa-f]+(_[0-9A-Fa-f]+)*$/.test(number)) {
    throw new RangeError("not a UUID");
  }
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value) ? value : `as Python reads ${value}`;
}
