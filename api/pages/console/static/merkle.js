/**
 * The Merkle tree of RFC 6962, section 2.1. Numbers are `bigint`: they may exceed 2⁵³.
 *
 * @import { Bytes } from "./bytes.js"
 * @typedef {{position: bigint, stream: string, version: bigint, topic: string, state: string, sealedActor: Bytes}} Leaf
 */
import { digest, equal, fromHex, joined, utf8 } from "./bytes.js";

/** The hash of one stored event, bound to its position: `domain/leaf.py` has the layout. @param {Leaf} leaf */
export function leafHash({ position, stream, version, topic, state, sealedActor }) {
  const fields = [number(8, position), fromHex(stream.replaceAll("-", "")), number(8, version), utf8(topic), utf8(state), sealedActor];
  const head = new Uint8Array([0, 0, fields.length]);
  return digest("SHA-256", joined(head, ...fields.flatMap((field) => [number(4, BigInt(field.length)), field])));
}

/** @param {number} size @param {bigint} value @returns {Bytes} big-endian */
const number = (size, value) => fromHex(value.toString(16).padStart(2 * size, "0"));

/** @param {Bytes} left @param {Bytes} right */
const nodeHash = (left, right) => digest("SHA-256", joined(new Uint8Array([1]), left, right));

/**
 * Whether the proof shows this leaf's hash at this index (RFC 9162, section 2.1.3.2).
 *
 * @param {Bytes} root @param {bigint} size @param {bigint} index @param {Bytes} leaf @param {Bytes[]} proof
 */
export async function includes(root, size, index, leaf, proof) {
  if (index < 0n || index >= size) return false;
  let [number, last, computed] = [index, size - 1n, leaf];
  for (const sibling of proof) {
    if (last === 0n) return false;
    if (number & 1n || number === last) {
      computed = await nodeHash(sibling, computed);
      while (!(number & 1n) && number) [number, last] = [number >> 1n, last >> 1n];
    } else {
      computed = await nodeHash(computed, sibling);
    }
    [number, last] = [number >> 1n, last >> 1n];
  }
  return last === 0n && equal(computed, root);
}
