/** Opt-ins and opt-outs over time, per toggle and source: a chart, and the table behind it. */
import { address, go } from "./address.js";
import { SOURCES, chip, counted, draw, instant, make, table } from "./make.js";
import { catalogues, read, titlesOf } from "./service.js";

const DAY = 86_400_000;
const SPANS = { 30: "30 days", 90: "90 days", 365: "a year" };
/** The height of the longest bar. */
const HALF = 56;

/** @typedef {{day: string, channel: string, toggle: string, source: string, opt_ins: number, opt_outs: number}} Count */

/** @type {import("./console.js").View} */
export async function timeView(place, query, signal) {
  const days = Object.hasOwn(SPANS, query.days ?? "") ? Number(query.days) : 365;
  const until = Date.parse(query.until ?? "") || Math.floor(Date.now() / DAY + 1) * DAY;
  const since = until - days * DAY;
  const filter = { channel: query.channel, toggle: query.toggle, source: query.source };
  const asked = { ...filter, since: new Date(since).toISOString(), until: new Date(until).toISOString() };
  const [{ data, meta }, all] = await Promise.all([read("v1/audit-log/summary", asked, signal), catalogues()]);
  /** @type {Count[]} */
  const counts = data;
  const width = days > 120 ? 7 : 1;
  const toggles = [...new Set(counts.map((one) => `${one.channel}.${one.toggle}`))];
  const titles = titlesOf(all);
  const series = toggles.map((path) => ({ path, title: titles.get(path) ?? path, bars: bars(counts.filter((one) => `${one.channel}.${one.toggle}` === path), since, days, width) }));
  const most = Math.max(1, ...series.flatMap(({ bars: all }) => all.flatMap((bar) => [bar.ins, bar.outs])));
  place.append(
    make("div", { className: "head" }, make("h2", {}, "Over time"), make("p", { className: "quiet" }, meta?.last_event_at ? "Complete up to " : "", meta?.last_event_at ? instant(meta.last_event_at) : "", meta?.last_event_at ? " UTC. " : "", "Days are in UTC. This look is recorded.")),
    controls(query, days),
    counts.length
      ? make(
          "div",
          { className: "charts" },
          make("p", { className: "legend" }, make("span", { className: "key ins" }, "opt-ins, upwards"), make("span", { className: "key outs" }, "opt-outs, downwards"), make("span", { className: "quiet" }, width === 7 ? "one bar a week" : "one bar a day")),
          ...series.map((one) => panel(one, most, query)),
        )
      : make("p", { className: "empty" }, "There is no change in this time."),
    counts.length ? sources(counts, query) : "",
    counts.length ? behind(counts, titles) : "",
  );
}

/** @param {Count[]} counts @param {number} since @param {number} days @param {number} width */
function bars(counts, since, days, width) {
  const found = Array.from({ length: Math.ceil(days / width) }, (_, at) => ({ day: new Date(since + at * width * DAY).toISOString().slice(0, 10), ins: 0, outs: 0 }));
  for (const one of counts) {
    const bar = found[Math.floor((Date.parse(one.day) - since) / DAY / width)];
    if (bar) {
      bar.ins += one.opt_ins;
      bar.outs += one.opt_outs;
    }
  }
  return found;
}

/** @param {{path: string, title: string, bars: {day: string, ins: number, outs: number}[]}} series @param {number} most @param {Record<string, string>} query */
function panel({ path, title, bars: all }, most, query) {
  const [channel, toggle] = path.split(".");
  const [ins, outs] = [all.reduce((sum, bar) => sum + bar.ins, 0), all.reduce((sum, bar) => sum + bar.outs, 0)];
  const said = `${title}: ${counted(ins, "opt-in")}, ${counted(outs, "opt-out")}`;
  return make(
    "section",
    { className: "card panel" },
    make("div", { className: "row" }, make("h3", {}, make("a", { href: address({ ...query, view: "time", channel, toggle }) }, title)), make("span", { className: "quiet" }, `${counted(ins, "opt-in")} · ${counted(outs, "opt-out")}`)),
    chart(all, most, said),
  );
}

/** @param {Record<string, string>} query @param {number} days */
function controls(query, days) {
  const span = make("select", { id: "days", name: "days" }, ...Object.entries(SPANS).map(([value, name]) => make("option", { value, selected: Number(value) === days }, name)));
  const source = make("select", { id: "source", name: "source" }, make("option", { value: "" }, "any"), ...SOURCES.map((value) => make("option", { value, selected: value === query.source }, value)));
  const form = make("form", { className: "filters", role: "search", "aria-label": "Choose a time" }, make("div", {}, make("label", { htmlFor: "days" }, "Time"), span), make("div", {}, make("label", { htmlFor: "source" }, "Source"), source));
  form.addEventListener("change", () => go({ ...query, view: "time", days: span.value, source: source.value }));
  form.addEventListener("submit", (event) => event.preventDefault());
  const one = query.toggle && make("ul", { className: "chips", "aria-label": "Filters in force" }, make("li", {}, chip("toggle", query.toggle, address({ ...query, view: "time", toggle: null, channel: null }))));
  return make("div", {}, form, one);
}

/** @param {Count[]} counts @param {Record<string, string>} query */
function sources(counts, query) {
  /** @type {Map<string, [number, number]>} */
  const sums = new Map();
  for (const one of counts) {
    const [ins, outs] = sums.get(one.source) ?? [0, 0];
    sums.set(one.source, [ins + one.opt_ins, outs + one.opt_outs]);
  }
  const rows = [...sums].sort(([, one], [, other]) => other[1] - one[1]).map(([source, [ins, outs]]) => [make("a", { href: address({ ...query, view: "time", source }) }, source), ins.toLocaleString("en"), outs.toLocaleString("en")]);
  return make("section", {}, make("h3", {}, "By source"), table("By source", ["Source", "Opt-ins", "Opt-outs"], rows, { className: "dense numbers" }));
}

/** @param {Count[]} counts @param {Map<string, string>} titles */
function behind(counts, titles) {
  const rows = counts.map((one) => [one.day, titles.get(`${one.channel}.${one.toggle}`) ?? one.toggle, one.source, one.opt_ins.toLocaleString("en"), one.opt_outs.toLocaleString("en")]);
  return make("details", {}, make("summary", {}, `The table behind it: ${counted(rows.length, "row")}`), table("Day by day", ["Day", "Toggle", "Source", "Opt-ins", "Opt-outs"], rows, { className: "dense numbers" }));
}

/**
 * Bars, upwards and downwards from one line. The table behind it has the numbers. The drawing stretches, and its words don't.
 *
 * @param {{day: string, ins: number, outs: number}[]} bars @param {number} most the longest bar of all charts @param {string} said
 */
function chart(bars, most, said) {
  const scale = HALF / most;
  const months = bars.flatMap(({ day }, at) => (at === 0 || day.slice(0, 7) !== bars[at - 1].day.slice(0, 7) ? [{ at, month: day.slice(0, 7) }] : []));
  const every = Math.ceil(months.length / 6);
  const drawn = draw(
    "svg",
    { viewBox: `0 0 ${bars.length} ${2 * HALF}`, preserveAspectRatio: "none", role: "img", "aria-label": said },
    ...bars.flatMap(({ day, ins, outs }, at) => [
      ins > 0 && draw("rect", { x: at + 0.1, y: HALF - ins * scale, width: 0.8, height: ins * scale, class: "ins" }, draw("title", {}, `${day}: ${ins} opt-ins`)),
      outs > 0 && draw("rect", { x: at + 0.1, y: HALF, width: 0.8, height: outs * scale, class: "outs" }, draw("title", {}, `${day}: ${outs} opt-outs`)),
    ]),
    draw("line", { x1: 0, x2: bars.length, y1: HALF, y2: HALF, class: "axis" }),
  );
  const ticks = months.filter((_, at) => at % every === 0).map(({ at, month }) => {
    const tick = make("span", {}, month);
    tick.style.insetInlineStart = `${(100 * at) / bars.length}%`;
    return tick;
  });
  const top = most.toLocaleString("en");
  return make("div", { className: "chart" }, make("div", { className: "scale", "aria-hidden": "true" }, make("span", {}, top), make("span", {}, "0"), make("span", {}, top)), drawn, make("div", { className: "months", "aria-hidden": "true" }, ...ticks));
}
