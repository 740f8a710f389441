/**
 * A leaf of the Merkle tree: one stored event, bound to its position. `domain/leaf.py` has the layout.
 *
 * @import { Bytes } from "./bytes.js"
 * @typedef {{position: bigint, stream: string, version: bigint, topic: string, state: string, sealedActor: Bytes}} Leaf
 */
import { joined, utf8 } from "./bytes.js";

const FIELDS = 6;

/** @param {Leaf} leaf @returns {Bytes} */
export function leafData(leaf) {
  const stream = Uint8Array.from(leaf.stream.replaceAll("-", "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const fields = [number(leaf.position), stream, number(leaf.version), utf8(leaf.topic), utf8(leaf.state), leaf.sealedActor];
  const count = new Uint8Array([0, FIELDS]);
  return joined(count, ...fields.flatMap((field) => [length(field), field]));
}

/** @param {bigint} value @returns {Bytes} */
function number(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value);
  return bytes;
}

/** @param {Bytes} field @returns {Bytes} */
function length(field) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, field.length);
  return bytes;
}
