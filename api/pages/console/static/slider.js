/** A slider over a user's own changes: before the first, after each, and now. */
import { make } from "./make.js";
import { toSecond } from "./words.js";

/**
 * @param {string} id @param {string} label @param {string} chosen the instant that is shown @param {string[]} instants of the changes, oldest first
 * @param {string} now what stands for now in the address @param {(instant: string, settled: boolean) => void} moved
 */
export function slider(id, label, chosen, instants, now, moved) {
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
