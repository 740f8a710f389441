/**
 * An evidence bundle: one user's events with the proof that the signed log contains them (`application/evidence/bundle.py`).
 *
 * @import { Bytes } from "./bytes.js"
 * @import { Json } from "./json_text.js"
 * @import { Leaf } from "./merkle.js"
 * @typedef {{index: bigint, leaf: Leaf, proof: Bytes[]}} Proven
 * @typedef {{organization: string | null, user: string, key: Bytes | null, checkpoint: string, events: Proven[], catalogues: Proven[]}} Bundle
 */
import { digest, equal, fromBase64, fromHex, hex, joined, toBase64, utf8 } from "./bytes.js";
import { decoded, parse, render } from "./json_text.js";

const FORMAT = "notification-preferences evidence 1";

/** One sentence on why a bundle proves nothing. */
export class BadBundle extends Error {}

/** Throws `BadBundle`. @param {Bytes} data @returns {Bundle} */
export function parseBundle(data) {
  let bundle, text;
  try {
    const document = parse(decoded(data));
    const [organization, key] = [member(document, "organization"), member(document, "key")];
    bundle = {
      organization: organization === null ? null : string(organization),
      user: string(member(document, "user")),
      key: key === null ? null : fromBase64(key),
      checkpoint: string(member(document, "checkpoint")),
      events: items(member(document, "events")).map(proven),
      catalogues: items(member(document, "catalogues")).map(proven),
    };
    text = written(bundle);
  } catch {
    throw new BadBundle("this is not an evidence bundle");
  }
  if (!equal(utf8(text), data)) throw new BadBundle("this is not the exact text of an evidence bundle");
  return bundle;
}

/** The one written form. @param {Bundle} bundle */
function written(bundle) {
  const { organization, user, key, checkpoint, events, catalogues } = bundle;
  return `${render(
    new Map(
      Object.entries({
        format: FORMAT,
        organization,
        user,
        key: key && toBase64(key),
        checkpoint,
        events: events.map(asWritten),
        catalogues: catalogues.map(asWritten),
      }),
    ),
  )}\n`;
}

/** @param {Proven} one @returns {Json} */
function asWritten({ index, leaf, proof }) {
  return new Map(
    Object.entries({
      index,
      position: leaf.position,
      stream: leaf.stream,
      version: leaf.version,
      topic: leaf.topic,
      state: leaf.state,
      sealed_actor: toBase64(leaf.sealedActor),
      proof: proof.map(toBase64),
    }),
  );
}

/** @param {Json} value @returns {Proven} */
function proven(value) {
  const leaf = {
    position: number(member(value, "position")),
    stream: uuid(member(value, "stream")),
    version: number(member(value, "version")),
    topic: string(member(value, "topic")),
    state: string(member(value, "state")),
    sealedActor: fromBase64(member(value, "sealed_actor")),
  };
  return { index: number(member(value, "index")), leaf, proof: items(member(value, "proof")).map(fromBase64) };
}

/** @param {Json} object @param {string} name @returns {Json} */
function member(object, name) {
  const found = object instanceof Map ? object.get(name) : undefined;
  if (found === undefined) throw new TypeError(`no ${name}`);
  return found;
}

/** What Python iterates over. @param {Json} value @returns {Json[]} */
function items(value) {
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return [...value];
  if (value instanceof Map) return [...value.keys()];
  throw new TypeError("not a list");
}

/** @param {Json} value */
function number(value) {
  if (typeof value !== "bigint" || value < 0n || value >= 2n ** 63n) throw new RangeError("not a number of the log");
  return value;
}

/** @param {Json} value */
function string(value) {
  if (typeof value !== "string") throw new TypeError("not a string");
  return value;
}

/** The namespace of the ids of streams, which are UUIDs (RFC 9562, section 5.5). */
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
 * A stream's UUID in its usual form. A text that only Python's `UUID` would take comes back as it is: then the bundle isn't the exact text,
 * which is another sentence than that it is none.
 *
 * @param {unknown} value
 */
function uuid(value) {
  if (typeof value !== "string") throw new TypeError("a stream is a string");
  const digits = [...value.replaceAll("urn:", "").replaceAll("uuid:", "").replace(/^[{}]+|[{}]+$/g, "").replaceAll("-", "")];
  const number = digits.join("").replace(/\p{Nd}/gu, "0").trim();
  if (digits.length !== 32 || !/^\+?(0[xX]_?)?[0-9A-Fa-f]+(_[0-9A-Fa-f]+)*$/.test(number)) {
    throw new RangeError("not a UUID");
  }
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value) ? value : `as Python reads ${value}`;
}
