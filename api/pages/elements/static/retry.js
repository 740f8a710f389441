/** Asks again after the service could not be reached: later each time. */

const FIRST = 2000; // milliseconds
const LAST = 60_000;

export class Retry {
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #again;

  constructor(/** @type {() => void} */ again) {
    this.#again = again;
  }

  later(seconds = 0) {
    this.stop();
    this.#timer = setTimeout(this.#again, Math.max(seconds * 1000, Math.min(FIRST * 2 ** this.#failures++, LAST)));
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** The service has answered. Says whether it could not be reached before. */
  answered() {
    const failed = this.#failures > 0;
    this.#failures = 0;
    return failed;
  }
}
