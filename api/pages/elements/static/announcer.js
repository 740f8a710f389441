/** What the element says: aloud to a screen reader, and as a notice above the switches. */

import { make } from "./dom.js";

export class Announcer {
  #frame = 0;

  /** @param {() => void} again what the button of a notice does */
  constructor(again) {
    this.again = again;
    this.notice = make("div", { class: "notice", part: "notice", hidden: "" });
    this.announced = make("div", { class: "unseen", role: "status" });
    this.alarmed = make("div", { class: "unseen", role: "alert" });
  }

  /**
   * A sentence about the whole, with a button that tries again; or none.
   * @param {string} sentence
   * @param {string} [action]
   */
  tell(sentence, action = "") {
    this.notice.hidden = sentence === "";
    this.notice.replaceChildren(make("p", {}, sentence));
    if (action) {
      const button = make("button", { type: "button", class: "again", part: "again" }, action);
      button.addEventListener("click", this.again);
      this.notice.append(button);
    }
    this.alarm(sentence);
  }

  /** Takes away all that was said: another person may be the next to read it. */
  forget() {
    this.tell("");
    this.announced.textContent = "";
  }

  /**
   * Said when the screen reader has finished what it is saying.
   * @param {string} sentence
   */
  announce(sentence) {
    if (sentence) this.announced.textContent = sentence;
  }

  /**
   * Said at once, also if it is the same sentence as before. An empty one takes the sentence before it away.
   * @param {string} sentence
   */
  alarm(sentence) {
    cancelAnimationFrame(this.#frame);
    this.alarmed.textContent = "";
    if (sentence) this.#frame = requestAnimationFrame(() => (this.alarmed.textContent = sentence));
  }
}
