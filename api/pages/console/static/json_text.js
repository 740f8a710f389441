/**
 * JSON, read and written exactly as Python's `json` does it. The browser's own `JSON.parse` rounds integers from 2⁵³ and doesn't tell
 * `1` from `1.0`, and a bundle has exactly one written form.
 *
 * @typedef {null | boolean | bigint | number | string | JsonList | Map<string, any>} Json
 * @typedef {Json[]} JsonList
 */

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\0-\x1f]*/y;
const HEX = /[0-9A-Fa-f]{4}/y;
const ESCAPED = new Map(Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }));
/** @type {[string, Json][]} */
const WORDS = [["null", null], ["true", true], ["false", false], ["NaN", NaN], ["Infinity", Infinity], ["-Infinity", -Infinity]];
/** Python refuses longer integers. */
const MOST_DIGITS = 4300;

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  /** @returns {never} */
  refuse() {
    throw new SyntaxError(`character ${this.at}`);
  }

  /** @param {RegExp} pattern */
  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at += found[0].length;
    return found;
  }

  /** @param {string} character */
  skips(character) {
    this.take(SPACE);
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  /** @returns {Json} */
  value() {
    this.take(SPACE);
    if (this.skips('"')) return this.string();
    if (this.skips("[")) return this.list();
    if (this.skips("{")) return this.object();
    const number = this.take(NUMBER);
    if (number) {
      if (number[2] ?? number[3]) return Number(number[0]);
      if (number[1].replace("-", "").length > MOST_DIGITS) this.refuse();
      return BigInt(number[1]);
    }
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.refuse();
  }

  /** What follows the opening quotation mark. */
  string() {
    let found = "";
    for (;;) {
      found += this.take(PLAIN)?.[0];
      const next = this.text[this.at++];
      if (next === '"') return found;
      if (next !== "\\") this.refuse();
      const escape = this.text[this.at++];
      if (escape === "u") found += String.fromCharCode(parseInt((this.take(HEX) ?? this.refuse())[0], 16));
      else found += ESCAPED.get(escape) ?? this.refuse();
    }
  }

  list() {
    /** @type {Json[]} */
    const found = [];
    if (this.skips("]")) return found;
    do found.push(this.value());
    while (this.skips(","));
    return this.skips("]") ? found : this.refuse();
  }

  object() {
    /** @type {Map<string, Json>} */
    const found = new Map();
    if (this.skips("}")) return found;
    do {
      if (!this.skips('"')) this.refuse();
      const name = this.string();
      if (!this.skips(":")) this.refuse();
      found.set(name, this.value());
    } while (this.skips(","));
    return this.skips("}") ? found : this.refuse();
  }
}

/** Throws for anything but JSON. @param {string} text @returns {Json} */
export function parse(text) {
  const reader = new Reader(text);
  const found = reader.value();
  reader.take(SPACE);
  return reader.at === text.length ? found : reader.refuse();
}

/** What `json.dumps(value, indent=1, ensure_ascii=False)` writes. @param {Json} value @param {number} [depth] @returns {string} */
export function render(value, depth = 1) {
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "string") {
    // Half of a surrogate pair: no UTF-8 can hold it.
    if (/\p{Cs}/u.test(value)) throw new RangeError("not text");
    return JSON.stringify(value);
  }
  if (typeof value === "number") throw new TypeError("a bundle has no fractions");
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => render(item, depth + 1))
    : [...value].map(([name, item]) => `${JSON.stringify(name)}: ${render(item, depth + 1)}`);
  const line = `\n${" ".repeat(depth)}`;
  return items.length ? `${open}${line}${items.join(`,${line}`)}\n${" ".repeat(depth - 1)}${close}` : open + close;
}

/**
 * The text of a file, in the encoding that Python's `json` would find by its first bytes. Throws where it is none.
 *
 * @param {Uint8Array} data
 */
export function decoded(data) {
  const [a, b, c, d] = data;
  const big = a === 0 || (a === 0xfe && b === 0xff);
  if ((a === 0 && b === 0) || (a === 0xff && b === 0xfe && c === 0 && d === 0) || (a && b === 0 && !c && !d && data.length >= 4)) {
    return utf32(data, big);
  }
  const mark = (a === 0xfe && b === 0xff) || (a === 0xff && b === 0xfe);
  const name = mark || ((a === 0 || b === 0) && (data.length >= 4 || data.length === 2)) ? (big ? "utf-16be" : "utf-16le") : "utf-8";
  // The decoder removes one mark at the beginning, as Python does.
  return new TextDecoder(name, { fatal: true }).decode(data);
}

/** @param {Uint8Array} data @param {boolean} big */
function utf32(data, big) {
  if (data.length % 4) throw new RangeError("cut off");
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let text = "";
  for (let at = 0; at < data.length; at += 4) text += String.fromCodePoint(view.getUint32(at, !big));
  return text.replace(/^\ufeff/, "");
}
