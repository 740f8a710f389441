/** Who has read what in the organization. Looking at it is recorded, too. */
import { address } from "./address.js";
import { counted, instant, make, pager, table } from "./make.js";
import { read } from "./service.js";

/** @type {Record<string, string>} */
const ACTIONS = {
  "audit_log.read": "Log, a page",
  "audit_log.export": "Log, an export",
  "audit_log.summary": "Over time",
  "user_preferences.read": "What a user gets",
  "user_history.read": "A user's changes",
  "user_evidence.export": "A user's bundle",
  "audit_reads.read": "Who has read",
};

/** @type {import("./console.js").View} */
export async function readsView(place, query, signal) {
  const { data, meta } = await read("v1/audit-log/reads", { cursor: query.cursor, limit: 50 }, signal);
  const rows = data.map((/** @type {any} */ one) => [
    instant(one.at),
    one.impersonated ? make("span", {}, `support for ${who(one.reader)}`) : who(one.reader),
    make("span", { title: one.action }, ACTIONS[one.action] ?? one.action),
    filtered(one.filter),
    one.count ?? "–",
    make("span", { className: one.outcome === "aborted" ? "fault" : "" }, one.outcome ?? "unknown"),
    make("code", { title: one.request_id }, one.request_id.slice(-8)),
  ]);
  place.append(
    make("div", { className: "head" }, make("h2", {}, "Who has read"), make("p", { className: "quiet" }, "Pages, exports, looks at one user, and bundles, newest first. A user is named by the id of the user's stream. This look is recorded, too.")),
    rows.length ? table("Readings, newest first", ["When (UTC)", "Who", "What", "Filter", "Entries", "End", "Request"], rows, { className: "dense" }) : make("p", { className: "empty" }, "Nothing was read yet."),
    pager(
      query.cursor ? address({ view: "reads" }) : "",
      meta.next_cursor && address({ view: "reads", cursor: meta.next_cursor }),
      `${counted(rows.length, "reading")} on this page`,
    ),
  );
}

/** @param {string} reader */
const who = (reader) => reader.replace(/^user:/, "").replace(/^api_key:(\S+) /, "key ");

/** @param {Record<string, unknown>} filter */
function filtered(filter) {
  const parts = Object.entries(filter).map(([name, value]) => make("li", {}, make("span", { className: "quiet" }, `${name === "resource_stream" ? "user" : name} `), name === "resource_stream" ? make("code", { title: String(value) }, String(value).slice(0, 8)) : String(value)));
  return make("ul", { className: "inline" }, ...parts);
}
