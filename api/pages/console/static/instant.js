/** Instants as Python's `isoformat` writes them. They stay text, because a JavaScript `Date` has no microseconds. */

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{6})?(?:[+-]\d\d:\d\d(?::\d\d(?:\.\d{6})?)?)?$/;

/** @param {unknown} text @returns {text is string} */
export function isInstant(text) {
  const found = typeof text === "string" ? INSTANT.exec(text) : null;
  if (!found) return false;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  const last = [31, year % 4 || (!(year % 100) && year % 400) ? 28 : 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return year > 0 && day > 0 && day <= (last ?? 0) && hour < 24 && minute < 60 && second < 60;
}

/** To the second. @param {string} instant */
export const toTheSecond = (instant) => instant.slice(0, 19).replace("T", " ");
