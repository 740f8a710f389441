/** One user: what they get now and at any instant, the difference between two instants, and what decided it. */
import { address, go } from "./address.js";
import { actorText, counted, instant, make, readable, state, table, toSecond } from "./make.js";
import { catalogues, read, titlesOf } from "./service.js";
import { stateTable } from "./state_table.js";

/** The most changes that the page loads. */
const MOST = 1000;

/**
 * @typedef {{id: string, occurred_at: string, channel: string, toggle: string, enabled: boolean, previous: boolean | null,
 *   actor: {kind: string, label: string}, source: string, request_id: string}} Change
 */

/** @type {import("./console.js").View} */
export async function userView(place, query, signal) {
  place.append(make("h2", {}, query.user ? query.user : "One user"), picker(query.user ?? ""));
  if (!query.user) {
    place.append(make("p", { className: "empty" }, "Name a user to see what they get, what they got at any instant, and why."));
    return;
  }
  const user = query.user;
  const [all, changes] = await Promise.all([catalogues(), changesOf(user, signal)]);
  const instants = [...new Set(changes.map((change) => change.occurred_at))].reverse();
  const shown = make("div", { className: "states" });
  const asked = { as_of: query.as_of ?? "", compare: query.compare ?? "" };
  /** @type {AbortController | null} */
  let looking = null;

  const look = async () => {
    looking?.abort();
    looking = new AbortController();
    // It ends with the next look, and when the view is left.
    const either = AbortSignal.any([signal, looking.signal]);
    try {
      const [at, then] = await Promise.all([stateOf(user, asked.as_of, either), asked.compare ? stateOf(user, asked.compare === "now" ? "" : asked.compare, either) : null]);
      if (!either.aborted) shown.replaceChildren(...stateTable(at, then, all));
    } catch (error) {
      if (!either.aborted) throw error;
    }
  };
  const comparing = make("a", { id: "comparing" }, asked.compare ? "Show one instant" : "Compare two instants");
  // The link begins with the instant that is shown, also after the slider has moved.
  const aim = () => {
    comparing.href = address(asked.compare ? { view: "user", user, as_of: asked.as_of } : { view: "user", user, as_of: asked.as_of || instants[0], compare: "now" });
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  /** @param {"as_of" | "compare"} name @param {string} instant @param {boolean} settled */
  const move = (name, instant, settled) => {
    asked[name] = instant;
    aim();
    clearTimeout(waiting);
    // While the slider moves, the answer follows a moment later. Each look is recorded, so not every step of it asks.
    if (settled) {
      go({ view: "user", user, ...asked }, { quietly: true });
      void look().catch((error) => shown.replaceChildren(make("p", { className: "fault", role: "alert" }, error.message)));
    } else {
      waiting = setTimeout(() => void look().catch(() => {}), 150);
    }
  };

  await look();
  if (signal.aborted) return;
  aim();
  place.append(
    make(
      "section",
      { className: "card moments" },
      slider("as_of", asked.compare ? "First instant" : "Instant", asked.as_of, instants, "", (instant, settled) => move("as_of", instant, settled)),
      asked.compare ? slider("compare", "Second instant", asked.compare, instants, "now", (instant, settled) => move("compare", instant, settled)) : null,
      comparing,
    ),
    shown,
    changeList(user, changes, all),
    make("p", { className: "quiet" }, `${counted(changes.length, "change")}${changes.length === MOST ? ", and there may be older ones" : ""}. Each look at this user is recorded. `, make("a", { href: address({ view: "log", resource_id: user }) }, "In the log"), " · ", make("a", { href: address({ view: "evidence", user }) }, "Evidence")),
  );
}

/** @param {string} user */
function picker(user) {
  const input = make("input", { id: "user", name: "user", value: user, required: true, autocomplete: "off", spellcheck: false });
  const form = make("form", { className: "picker", role: "search", "aria-label": "Choose a user" }, make("div", {}, make("label", { htmlFor: "user" }, "User"), input), make("button", { type: "submit", className: user ? "plain" : "" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go({ view: "user", user: input.value.trim() });
  });
  return form;
}

/** Newest first. @param {string} user @param {AbortSignal} signal @returns {Promise<Change[]>} */
async function changesOf(user, signal) {
  /** @type {Change[]} */
  const found = [];
  let cursor = null;
  do {
    const { data, meta } = await read(`${of(user)}/history`, { limit: 200, cursor }, signal);
    found.push(...data);
    cursor = meta.next_cursor;
  } while (cursor && found.length < MOST);
  return found;
}

/** @param {string} user @param {string} instant empty for now @param {AbortSignal} signal */
async function stateOf(user, instant, signal) {
  return (await read(of(user), { as_of: instant, include: "explain" }, signal)).data;
}

/** @param {string} user */
const of = (user) => `v1/users/${encodeURIComponent(user)}/notifications`;

/** Newest first; each is a step in time. @param {string} user @param {Change[]} changes @param {import("./service.js").Catalogue[]} all */
function changeList(user, changes, all) {
  const titles = titlesOf(all);
  if (!changes.length) return make("p", { className: "empty" }, "This user has chosen nothing: the defaults apply.");
  const rows = changes.map((change) => [
    make("a", { href: address({ view: "user", user, as_of: change.occurred_at }), title: "What the user got then" }, instant(change.occurred_at)),
    titles.get(`${change.channel}.${change.toggle}`) ?? readable(change.toggle),
    make("span", { className: "change" }, state(change.previous), make("span", { "aria-label": "then" }, " → "), state(change.enabled)),
    actorText(change.actor),
    change.source,
    make("code", { title: change.request_id }, change.request_id.slice(-8)),
  ]);
  return make("section", {}, make("h3", {}, "Changes"), table("Changes, newest first", ["When (UTC)", "Toggle", "Choice", "Who acted", "Source", "Request"], rows, { className: "dense" }));
}

/**
 * A slider over a user's own changes: before the first, after each, and now.
 *
 * @param {string} id @param {string} label @param {string} chosen the instant that is shown @param {string[]} instants of the changes, oldest first
 * @param {string} now what stands for now in the address @param {(instant: string, settled: boolean) => void} moved
 */
function slider(id, label, chosen, instants, now, moved) {
  const last = instants.length + 1;
  const first = instants.length ? before(instants[0]) : now;
  const steps = [first, ...instants, now];
  const output = make("output", { id: `${id}-said`, htmlFor: id });
  const input = make("input", { type: "range", id, min: "0", max: String(last), step: "1", className: "slide" });
  input.value = String(place(chosen));

  /** The step of an instant: after the last change that it isn't earlier than. @param {string} instant */
  function place(instant) {
    if (!instant || instant === now || instant === "now") return last;
    const exact = steps.indexOf(instant);
    if (exact >= 0) return exact;
    return instants.filter((one) => Date.parse(one) <= Date.parse(instant)).length;
  }
  /** @param {string} [exact] */
  const say = (exact) => {
    const at = Number(input.value);
    const words = exact ? `${toSecond(exact)} UTC` : at === last ? "now" : at === 0 ? "before the first change" : `after the change of ${toSecond(steps[at])} UTC`;
    output.textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  say(chosen && !steps.includes(chosen) && chosen !== "now" ? chosen : undefined);
  input.addEventListener("input", () => {
    say();
    moved(steps[Number(input.value)], false);
  });
  input.addEventListener("change", () => moved(steps[Number(input.value)], true));
  return make("div", { className: "slider" }, make("div", { className: "row" }, make("label", { htmlFor: id }, label), output), input, make("div", { className: "ends quiet", "aria-hidden": "true" }, make("span", {}, instants.length ? toSecond(instants[0]).slice(0, 10) : ""), make("span", {}, "now")));
}

/** A microsecond earlier. @param {string} instant */
function before(instant) {
  const [whole, fraction = ""] = instant.replace("Z", "").split(".");
  const micros = BigInt(Date.parse(`${whole}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0").slice(0, 6)) - 1n;
  return `${new Date(Number(micros / 1000n)).toISOString().slice(0, 19)}.${String(micros % 1_000_000n).padStart(6, "0")}Z`;
}
