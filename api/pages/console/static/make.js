/**
 * Makes elements. Text is always text: nothing here takes markup.
 *
 * @typedef {Node | string | number | null | undefined | false} Content
 */

export const SOURCES = ["dashboard", "api", "one_click", "link", "import", "admin", "system"];
const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, any>} properties those with a hyphen, and `role`, are attributes; `on…` listens
 * @param {Content[]} content
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, properties = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "list" || key === "scope") made.setAttribute(key, String(value));
    else Object.assign(made, { [key]: value });
  }
  made.append(...present(content));
  return made;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {Content[]} content */
export function draw(name, attributes, ...content) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...present(content));
  return made;
}

/** @param {Content[]} content */
const present = (content) => content.filter((one) => one !== null && one !== undefined && one !== false).map((one) => (one instanceof Node ? one : String(one)));

/**
 * A table that scrolls on its own where it is too wide.
 *
 * @param {string} caption @param {string[]} columns @param {Content[][]} rows @param {{className?: string}} [how]
 */
export function table(caption, columns, rows, { className = "" } = {}) {
  const head = make("tr", {}, ...columns.map((column) => make("th", { scope: "col" }, column)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, at) => make("td", { "data-column": columns[at] }, cell))));
  const whole = make(
    "table",
    { className },
    make("caption", { className: "unseen" }, caption),
    make("thead", {}, head),
    make("tbody", {}, ...body),
  );
  return make("div", { className: "scrolls", tabIndex: 0, role: "region", "aria-label": caption }, whole);
}

/** The links to other pages of a list. @param {string} newest @param {string | null} older @param {string} said */
export function pager(newest, older, said) {
  return make(
    "nav",
    { className: "row pages", "aria-label": "Pages" },
    newest && make("a", { className: "button plain", href: newest }, "Newest"),
    older && make("a", { className: "button plain", id: "older", href: older }, "Older"),
    make("span", { className: "quiet" }, said),
  );
}

/** A filter in force, as a link that takes it away. @param {string} name @param {string} value @param {string} href */
export const chip = (name, value, href) => make("a", { className: "chip", href, "aria-label": `Remove ${name} ${value}` }, make("span", { className: "quiet" }, `${name} `), value, make("span", { "aria-hidden": "true" }, " ×"));

/** `weekly_usage_digest` → `Weekly usage digest`. @param {string} name */
export const readable = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

/** To the second, in UTC; the exact instant on request. @param {string} at */
export const instant = (at) => make("time", { dateTime: at, title: at, className: "instant" }, toSecond(at));

/** @param {string} at */
export const toSecond = (at) => at.slice(0, 19).replace("T", " ");

/** @param {boolean | null | undefined} enabled */
export function state(enabled) {
  if (enabled === null || enabled === undefined) return make("span", { className: "state none" }, "default");
  return make("span", { className: `state ${enabled ? "on" : "off"}` }, enabled ? "on" : "off");
}

/** @param {{kind: string, label: string}} actor */
export const actorText = (actor) => (actor.kind === "platform" ? "support" : actor.label);

/** @param {string} text */
export const fault = (text) => make("p", { className: "fault notice-box", role: "alert" }, text);

/** @param {number} count @param {string} noun @param {string} [plural] */
export const counted = (count, noun, plural = `${noun}s`) => `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
