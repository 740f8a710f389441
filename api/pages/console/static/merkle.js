/**
 * Inclusion in the Merkle tree of RFC 6962, section 2.1. Numbers of leaves are `bigint`, because they may exceed 2⁵³.
 *
 * @import { Bytes } from "./bytes.js"
 */
import { digest, equal, joined } from "./bytes.js";

const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

/** @param {Bytes} data */
export const leafHash = (data) => digest("SHA-256", joined(LEAF, data));

/** @param {Bytes} left @param {Bytes} right */
const nodeHash = (left, right) => digest("SHA-256", joined(NODE, left, right));

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
