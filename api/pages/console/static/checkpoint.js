/**
 * A checkpoint: the size and Merkle root of the log at one moment, in the form of C2SP's tlog-checkpoint.
 *
 * @import { Bytes } from "./bytes.js"
 * @typedef {{origin: string, size: bigint, root: Bytes, position: bigint, time: string}} Checkpoint
 */
import { fromExactBase64 } from "./bytes.js";
import { isInstant } from "./instant.js";

const TEXT = /^([^\n]+)\n([1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\nposition ([1-9][0-9]{0,18})\ntime ([^\n]+)\n$/;

/** Throws an error whose message is one phrase, for anything but the exact text of a checkpoint. @param {string} text @returns {Checkpoint} */
export function parseCheckpoint(text) {
  const found = TEXT.exec(text);
  if (!found) throw new RangeError("not the text of a checkpoint");
  const [, origin, size, encoded, position, time] = found;
  const root = fromExactBase64(encoded);
  if (!root || !isInstant(time)) throw new RangeError("not the exact text of a checkpoint");
  return { origin, size: BigInt(size), root, position: BigInt(position), time };
}
