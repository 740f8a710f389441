/**
 * An evidence bundle: one user's events with the proof that the signed log contains them (`application/evidence/bundle.py`).
 *
 * @import { Bytes } from "./bytes.js"
 * @import { Json } from "./json_text.js"
 * @import { Leaf } from "./merkle.js"
 * @typedef {{index: bigint, leaf: Leaf, proof: Bytes[]}} Proven
 * @typedef {object} Bundle
 * @property {string | null} organization
 * @property {string} user
 * @property {Bytes | null} key
 * @property {string} checkpoint
 * @property {Proven[]} events
 * @property {Proven[]} catalogues
 */
import { equal, fromBase64, toBase64, utf8 } from "./bytes.js";
import { decoded, parse, render } from "./json_text.js";
import { uuid } from "./stream.js";

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
