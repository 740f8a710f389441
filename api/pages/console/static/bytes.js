/**
 * Bytes, their hashes and their base64.
 *
 * @typedef {Uint8Array<ArrayBuffer>} Bytes
 */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const encoder = new TextEncoder();

/** @param {string} text @returns {Bytes} */
export const utf8 = (text) => encoder.encode(text);

/** @param {...Bytes} parts @returns {Bytes} */
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {Bytes} one @param {Bytes} other */
export const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** @param {string} name @param {Bytes} data @returns {Promise<Bytes>} */
export async function digest(name, data) {
  return new Uint8Array(await crypto.subtle.digest(name, data));
}

/** @param {string} text @returns {Bytes} */
export const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** @param {Bytes} data */
export const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {Bytes} data */
export function toBase64(data) {
  let binary = "";
  for (let at = 0; at < data.length; at += 8192) binary += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(binary);
}

/** Decodes base64 as leniently as Python's `b64decode`: whether the text is exact is checked afterwards. @param {unknown} text @returns {Bytes} */
export function fromBase64(text) {
  if (typeof text !== "string") throw new TypeError("base64 is a string");
  if (/[^\0-\x7f]/.test(text)) throw new RangeError("base64 is ASCII");
  const found = [];
  let [place, pads, held] = [0, 0, 0];
  for (const character of text) {
    if (character === "=") {
      if (place >= 2 && place + ++pads >= 4) return new Uint8Array(found);
      continue;
    }
    const value = ALPHABET.indexOf(character);
    if (value < 0) continue;
    pads = 0;
    if (place > 0) found.push(((held << 6) | value) >> (6 - 2 * place) & 255);
    held = value & [0, 15, 3, 0][place];
    if (place === 0) held = value;
    place = (place + 1) % 4;
  }
  if (place !== 0) throw new RangeError("base64 is cut off");
  return new Uint8Array(found);
}

/** The bytes, or null unless the text is the one way to write them. @param {string} text @returns {Bytes | null} */
export function fromExactBase64(text) {
  try {
    const found = fromBase64(text);
    return toBase64(found) === text ? found : null;
  } catch {
    return null;
  }
}
