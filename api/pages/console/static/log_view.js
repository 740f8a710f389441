/** The organization's log. Every filter stands in the address, and every value of an entry is a filter. */
import { address, go } from "./address.js";
import { SOURCES, actorText, chip, counted, instant, make, pager, readable, state, table, toSecond } from "./make.js";
import { ask, catalogues, read, save } from "./service.js";

const FILTERS = ["resource_id", "channel", "toggle", "enabled", "source", "actor_kind", "action", "since", "until"];
const TOGGLE = "notification_preferences.toggle";
const ERASE = "notification_preferences.erase";
/** @type {Record<string, string>} */
const NAMES = { resource_id: "user", actor_kind: "who acted", enabled: "choice", true: "on", false: "off", customer: "the user", platform: "support", [TOGGLE]: "a choice", [ERASE]: "an erasure" };

/** A value or the name of a filter in words. @param {string} value */
const spelt = (value) => (Object.hasOwn(NAMES, value) ? NAMES[value] : value);

/** @type {import("./console.js").View} */
export async function logView(place, query, signal) {
  /** @type {Record<string, string>} */
  const filter = Object.fromEntries(FILTERS.filter((name) => query[name]).map((name) => [name, query[name]]));
  const [answer, all] = await Promise.all([read("v1/audit-log", { ...filter, cursor: query.cursor, limit: 50, include: "payload" }, signal), catalogues()]);
  const cursor = answer.meta.next_cursor;
  place.append(
    make("div", { className: "head" }, make("h2", {}, "Log"), completeness(answer.meta.last_event_at)),
    filterForm(filter, all),
    chips(filter) ?? "",
    exports(filter),
    entries(answer.data, filter),
    pager(
      query.cursor ? address({ view: "log", ...filter }) : "",
      cursor && address({ view: "log", ...filter, cursor }),
      `${counted(answer.data.length, "entry", "entries")} on this page${cursor ? "" : ", the last one"}`,
    ),
  );
}

/** @param {string | null} until */
function completeness(until) {
  const said = until ? ["Complete up to ", instant(until), " UTC. "] : ["Nothing was taken into the log yet. "];
  return make("p", { className: "quiet" }, ...said, "Each look is recorded: who, when, with which filter.");
}

/** @param {Record<string, string>} filter @param {import("./service.js").Catalogue[]} all */
function filterForm(filter, all) {
  const channels = [...new Set(all.flatMap((one) => one.channels.map(({ name }) => name)))];
  const toggles = [...new Set(all.flatMap((one) => one.channels.flatMap((channel) => channel.toggles.filter((toggle) => !toggle.mandatory).map(({ name }) => name))))];
  const form = make(
    "form",
    { className: "filters", role: "search", "aria-label": "Filter the log" },
    field("resource_id", "User", make("input", { value: filter.resource_id ?? "", autocomplete: "off", spellcheck: false })),
    field("channel", "Channel", choices(filter.channel, channels)),
    field("toggle", "Toggle", choices(filter.toggle, toggles)),
    field("enabled", "Choice", choices(filter.enabled, ["true", "false"])),
    field("source", "Source", choices(filter.source, SOURCES)),
    field("actor_kind", "Who acted", choices(filter.actor_kind, ["customer", "platform"])),
    field("action", "What", choices(filter.action, [TOGGLE, ERASE])),
    field("since", "From (UTC)", make("input", { type: "datetime-local", step: "1", value: inField(filter.since) })),
    field("until", "Before (UTC)", make("input", { type: "datetime-local", step: "1", value: inField(filter.until) })),
    make("button", { type: "submit", id: "apply" }, "Filter"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
    for (const name of ["since", "until"]) {
      if (!given[name]) continue;
      // A field leaves out seconds that are 0.
      const instant = given[name].length === 16 ? `${given[name]}:00` : given[name];
      // The fields show whole seconds. An instant that was not touched keeps its fraction.
      given[name] = instant === inField(filter[name]) ? filter[name] : `${instant}Z`;
    }
    go({ view: "log", ...given });
  });
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
  const open = matchMedia("(min-width: 60rem)").matches || Object.keys(filter).length > 0;
  return make("details", { className: "filtering", open }, make("summary", {}, "Filters"), form);
}

/** An instant of the address as a field shows it: in UTC, to the second. Empty if it is none. @param {string | undefined} at */
function inField(at) {
  const time = Date.parse(at ?? "");
  return Number.isNaN(time) ? "" : new Date(time).toISOString().slice(0, 19);
}

/** @param {string} name @param {string} label @param {HTMLInputElement | HTMLSelectElement} control */
function field(name, label, control) {
  Object.assign(control, { name, id: `filter-${name}` });
  return make("div", {}, make("label", { htmlFor: control.id }, label), control);
}

/** @param {string | undefined} chosen @param {string[]} values */
function choices(chosen, values) {
  const offered = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  return make("select", {}, make("option", { value: "" }, "any"), ...offered.map((value) => make("option", { value, selected: value === chosen }, spelt(value))));
}

/** The filter, each part of which can be taken away. @param {Record<string, string>} filter */
function chips(filter) {
  const given = Object.entries(filter);
  if (!given.length) return null;
  const links = given.map(([name, value]) => make("li", {}, chip(spelt(name), spelt(value), address({ view: "log", ...filter, [name]: null }))));
  return make("ul", { className: "chips", "aria-label": "Filters in force" }, ...links, make("li", {}, make("a", { href: address({ view: "log" }) }, "Remove all")));
}

/** @param {Record<string, string>} filter */
function exports(filter) {
  const said = make("span", { className: "quiet", role: "status" });
  /** @param {string} accept @param {string} ending */
  const run = (accept, ending) => async () => {
    said.textContent = "Exporting…";
    try {
      said.textContent = await exported(filter, accept, `audit-log.${ending}`);
    } catch (error) {
      said.textContent = error instanceof Error ? `${error.message} The export isn't whole.` : "The export isn't whole.";
    }
  };
  return make(
    "div",
    { className: "row exports" },
    make("button", { type: "button", id: "export-csv", className: "plain", onclick: run("text/csv", "csv") }, "Export CSV"),
    make("button", { type: "button", id: "export-ndjson", className: "plain", onclick: run("application/x-ndjson", "ndjson") }, "Export NDJSON"),
    said,
  );
}

/** Saves all entries that fit the filter. Says how many, and how far they are complete. @param {Record<string, string>} filter @param {string} accept @param {string} name */
async function exported(filter, accept, name) {
  const lines = accept !== "text/csv";
  const answer = await ask("v1/audit-log", { ...filter, ...(lines ? { include: "payload", trailer: "true" } : {}) }, { accept });
  const until = answer.headers.get("X-Last-Event-At");
  const content = await answer.blob().catch(() => {
    throw new Error("The connection broke off.");
  });
  const said = lines ? counted(await linesIn(content), "entry", "entries") : "Exported";
  save(content, name);
  return `${said}${until ? `, complete up to ${toSecond(until)} UTC` : ""}. Recorded.`;
}

/** How many entries there are by the last line. Without that line, a proxy has cut the export off. @param {Blob} content @returns {Promise<number>} */
async function linesIn(content) {
  const last = (await content.slice(-512).text()).trimEnd().split("\n").pop() ?? "";
  const found = /^\{.*"end":true.*\}$/.test(last) ? JSON.parse(last) : null;
  if (found?.end !== true) throw new Error("Its last line is missing.");
  return found.lines;
}

/** @param {any[]} data @param {Record<string, string>} filter */
function entries(data, filter) {
  if (!data.length) return make("p", { className: "empty" }, Object.keys(filter).length ? "No entry meets this filter." : "The log has no entry yet.");
  /** @param {import("./address.js").Query} more @param {import("./make.js").Content} shown @param {string} [label] */
  const value = (more, shown, label) => make("a", { className: "value", href: address({ view: "log", ...filter, ...more }), "aria-label": label }, shown);
  const rows = data.map((entry) => {
    const { before, after, source } = entry.payload;
    const day = entry.occurred_at.slice(0, 10);
    const next = new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
    const erased = entry.resource.id === "erased" || entry.resource.id === "unreadable";
    return [
      value({ since: `${day}T00:00:00Z`, until: `${next}T00:00:00Z` }, instant(entry.occurred_at), `${toSecond(entry.occurred_at)}: only ${day}`),
      erased
        ? make("span", { className: "quiet" }, entry.resource.id)
        : make("span", {}, value({ resource_id: entry.resource.id }, entry.resource.id), " ", make("a", { className: "open", href: address({ view: "user", user: entry.resource.id }), "aria-label": `What ${entry.resource.id} gets` }, "→")),
      after ? make("span", {}, value({ channel: after.channel, toggle: after.toggle }, readable(after.toggle)), " ", value({ channel: after.channel }, make("small", {}, after.channel))) : value({ action: ERASE }, "Erasure"),
      after ? make("span", { className: "change" }, state(before?.enabled), make("span", { "aria-label": "then" }, " → "), value({ enabled: String(after.enabled) }, state(after.enabled))) : "",
      value({ actor_kind: entry.actor.kind }, actorText(entry.actor)),
      value({ source }, source),
      make("code", { title: entry.request_id }, entry.request_id.slice(-8)),
    ];
  });
  return table("Entries, newest first", ["When (UTC)", "User", "Toggle", "Choice", "Who acted", "Source", "Request"], rows, { className: "dense" });
}
