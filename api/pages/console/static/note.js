/**
 * Signed notes in C2SP's form (c2sp.org/signed-note), the public keys that open them, and the checkpoint in one (tlog-checkpoint).
 *
 * @import { Bytes } from "./bytes.js"
 * @typedef {{name: string, hash: string, key: CryptoKey}} VerifierKey
 * @typedef {{origin: string, size: bigint, root: Bytes, position: bigint, time: string}} Checkpoint
 */
import { digest, fromExactBase64, hex, joined, utf8 } from "./bytes.js";
import { isInstant } from "./stored_event.js";

/** What Python's `\s` matches. JavaScript's differs in six characters. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const NAME = new RegExp(`^[^${SPACE}+]+$`, "u");
const SIGNATURE = new RegExp(`^— ([^${SPACE}+]+) ([A-Za-z0-9+/]+={0,2})$`, "u");
/** The most signatures under one note that are checked. */
const MOST = 100;

/** Throws an error with a whole sentence for anything but the exact text of a key. @param {string} text @returns {Promise<VerifierKey>} */
export async function parseKey(text) {
  const first = text.indexOf("+");
  const second = text.indexOf("+", first + 1);
  const [name, named, encoded] = [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)];
  const key = first >= 0 && second >= 0 ? fromExactBase64(encoded) : null;
  if (!key || key.length !== 33 || key[0] !== 1 || !NAME.test(name) || (await keyHash(name, key)) !== named) {
    throw new RangeError(`${quoted(text)} is not a public key of the form name+hash+key`);
  }
  return { name, hash: named, key: await crypto.subtle.importKey("raw", key.slice(1), "Ed25519", false, ["verify"]) };
}

/** @param {string} name @param {Bytes} key */
async function keyHash(name, key) {
  return hex((await digest("SHA-256", joined(utf8(`${name}\n`), key))).slice(0, 4));
}

/**
 * The text of the note. Throws an error whose message is one phrase, unless the key has signed it.
 *
 * @param {string} note @param {VerifierKey} key
 */
export async function openNote(note, key) {
  const end = note.lastIndexOf("\n\n");
  const signatures = note.slice(end + 2);
  if (end < 0 || !signatures.endsWith("\n")) throw new RangeError("not a signed note");
  const text = note.slice(0, end + 1);
  let known = false;
  for (const line of signatures.slice(0, -1).split("\n").slice(0, MOST)) {
    const found = SIGNATURE.exec(line);
    const signed = found && fromExactBase64(found[2]);
    if (!found || !signed || signed.length < 5) throw new RangeError("not a signed note");
    if (found[1] !== key.name || hex(signed.slice(0, 4)) !== key.hash) continue;
    if (!(await crypto.subtle.verify("Ed25519", key.key, signed.slice(4), utf8(text)))) {
      throw new RangeError(`the signature of ${key.name} is wrong`);
    }
    known = true;
  }
  if (!known) throw new RangeError("not signed with a key that is known here");
  return text;
}

/** The text in quotation marks, as Python's `repr` shows it. @param {string} text */
function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const shown = text.replace(/[\\'"]|[^\P{C}]|(?! )\p{Z}/gu, (character) => {
    if (character === '"' || character === "'") return character === mark ? `\\${character}` : character;
    const short = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return short ?? (code.length < 3 ? `\\x${code.padStart(2, "0")}` : code.length < 5 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`);
  });
  return mark + shown + mark;
}

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
