/** One toggle: its words, its switch, and a sentence on why a change failed. */

import { make } from "./dom.js";
import { filled } from "./texts.js";

/**
 * @typedef {import("./service.js").Toggle} Toggle
 * @typedef {import("./texts.js").Texts} Texts
 */

const SAVED_SHOWN_FOR = 2000; // milliseconds

export class ToggleRow {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} path
   * @param {Toggle} toggle
   * @param {Texts} texts
   * @param {() => void} pressed
   */
  constructor(path, toggle, texts, pressed) {
    const words = texts.words[path] ?? {};
    this.path = path;
    this.texts = texts;
    this.mandatory = toggle.mandatory;
    this.title = words.title ?? toggle.title;
    const description = words.description ?? toggle.description;
    const described = [description && `${path}-description`, toggle.mandatory && `${path}-locked`, `${path}-fault`];
    this.control = make("button", {
      type: "button",
      role: "switch",
      id: path,
      part: toggle.mandatory ? "switch locked" : "switch",
      "aria-labelledby": `${path}-title`,
      "aria-describedby": described.filter(Boolean).join(" "),
      "aria-disabled": toggle.mandatory ? "true" : undefined,
    }, make("span", { class: "knob", part: "knob" }));
    this.control.addEventListener("click", pressed);
    this.state = make("span", { class: "state", part: "state", "aria-hidden": "true" });
    this.fault = make("p", { class: "fault", part: "fault", id: `${path}-fault`, hidden: "" });
    this.more = make("div", { class: "more" });
    this.row = make("li", { part: "toggle", class: toggle.mandatory ? "toggle locked" : "toggle" },
      make("div", { class: "words" },
        make("label", { class: "title", part: "title", id: `${path}-title`, for: path }, this.title),
        description ? make("p", { class: "description", part: "description", id: `${path}-description` }, description) : "",
        toggle.mandatory ? make("p", { class: "reason", part: "reason", id: `${path}-locked` }, lock(), texts.locked) : "",
        this.fault,
      ),
      make("div", { class: "side" }, this.state, this.control),
      this.more,
    );
  }

  /**
   * @param {boolean} enabled
   * @param {boolean} waiting
   */
  show(enabled, waiting) {
    const changed = waiting || this.control.getAttribute("aria-checked") !== String(enabled);
    this.control.setAttribute("aria-checked", String(enabled));
    this.row.toggleAttribute("data-waiting", waiting);
    if (changed) this.#settled();
    if (!this.row.hasAttribute("data-saved")) this.#label(waiting ? this.texts.saving : this.#now());
  }

  /** Says for a moment that the choice is saved. */
  saved() {
    this.tell("");
    this.#settled();
    this.#label(this.texts.saved);
    this.row.setAttribute("data-saved", "");
    this.#timer = setTimeout(() => {
      this.#settled();
      this.#label(this.#now());
    }, SAVED_SHOWN_FOR);
  }

  #settled() {
    clearTimeout(this.#timer);
    this.row.removeAttribute("data-saved");
  }

  #now() {
    const { texts } = this;
    return this.mandatory ? texts.alwaysOn : this.control.getAttribute("aria-checked") === "true" ? texts.on : texts.off;
  }

  /**
   * Shows a sentence beside the switch, or takes it away. The same sentence is announced elsewhere.
   * @param {string} sentence
   */
  tell(sentence) {
    this.fault.textContent = sentence;
    this.fault.hidden = sentence === "";
  }

  /** @param {"becameOn" | "becameOff" | "elsewhereOn" | "elsewhereOff"} text */
  sentence(text) {
    return filled(this.texts[text], { title: this.title });
  }

  /** @param {string} text */
  #label(text) {
    if (this.state.textContent !== text) this.state.textContent = text;
  }
}

/**
 * The rows of one channel below its heading.
 * @param {import("./service.js").Channel} channel
 * @param {Texts} texts
 * @param {string | null} level of the heading, 2 by default
 * @param {HTMLElement[]} rows
 */
export function section(channel, texts, level, rows) {
  const words = texts.words[channel.name] ?? {};
  const description = words.description ?? channel.description;
  const heading = /** @type {"h2"} */ (level && /^[1-6]$/.test(level) ? `h${level}` : "h2");
  const id = `channel-${channel.name}`;
  return make("section", { part: "channel", "aria-labelledby": id },
    make(heading, { class: "channel", part: "channel-title", id }, words.title ?? channel.title),
    description ? make("p", { class: "description", part: "channel-description" }, description) : "",
    make("ul", { class: "toggles", part: "toggles", role: "list" }, ...rows),
  );
}

function lock() {
  const svg = (/** @type {string} */ name, /** @type {Record<string, string>} */ attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    return made;
  };
  const drawing = svg("svg", { class: "lock", viewBox: "0 0 12 14", "aria-hidden": "true" });
  drawing.append(svg("rect", { x: "1.5", y: "6.5", width: "9", height: "6.5", rx: "1.2" }), svg("path", { d: "M3.5 6.5V4a2.5 2.5 0 0 1 5 0v2.5" }));
  return drawing;
}
