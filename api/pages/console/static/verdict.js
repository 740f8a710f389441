/**
 * What a verified bundle proves, in the lines of `preferences audit verify-bundle`.
 *
 * @import { Opened } from "./verify.js"
 */
import { consents, row } from "./consent.js";
import { toTheSecond } from "./instant.js";

export const COLUMNS = ["when (UTC)", "toggle", "choice", "since then", "who", "session", "source", "told", "request"];

/** `head` and `foot` stand around the table of `rows`. @param {Opened} opened */
export function verdict({ bundle, checkpoint, events, catalogues }) {
  const where = bundle.organization === null ? "without an organization" : `of ${bundle.organization}`;
  const last = events.length;
  return {
    head: [
      `${bundle.user} ${where}: ${counted(last)}, all in the log of ${checkpoint.origin}`,
      `as signed on ${toTheSecond(checkpoint.time)} UTC over ${counted(checkpoint.size)}, up to position ${checkpoint.position}`,
    ],
    rows: consents(events, catalogues).map((consent) => row(consent, last)),
    foot: [
      `No event of this user up to version ${last} was left out: their versions have no gap.`,
      "Later changes are not excluded, not even up to the day of the signature: whoever passed the file on can have left the last events out.",
    ],
  };
}

/** @param {number | bigint} count */
const counted = (count) => `${count} ${String(count) === "1" ? "event" : "events"}`;
