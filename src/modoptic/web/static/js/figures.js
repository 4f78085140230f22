/** Measured figures, here and on the phone. */
import { $, make, memory } from "./page.js";

export class FigurePanel {
  /** @param {import("./finder.js").Finder} finder */
  constructor(finder) {
    this.finder = finder;
    this.toggle(memory.get("figures", false));
    $("age").addEventListener("click", () => this.toggle($("figures").hidden));
    setInterval(() => this.refresh(), 250);
  }

  /** @param {boolean} open */
  toggle(open) {
    $("figures").hidden = !open;
    $("age").setAttribute("aria-pressed", String(open));
    memory.set("figures", open);
    this.refresh();
  }

  /** @param {any} state */
  showState(state) { this.state = state; }

  refresh() {
    if ($("figures").hidden || !this.state) return;
    const f = this.state.figures;
    const ms = (/** @type {number|null} */ v) => (v === null || v === undefined ? "–" : `${Math.round(v)} ms`);
    const seconds = (/** @type {number|null} */ v) => (v === null || v === undefined ? "–" : `${v.toFixed(2)} s`);
    const rows = {
      "Attach to picture": ms(f.attach_ms ?? this.state.dock.ready_ms),
      "Age of this picture": ms(this.finder.ageMs),
      "Readout to drawn": ms(this.finder.lateMs),
      "Readout to JPEG": ms(f.frame_age_ms),
      "Drawn here": `${this.finder.rate.toFixed(0)} /s`,
      "From the camera": `${f.frame_rate.toFixed(0)} /s`,
      "Light link": f.link_gbit_s ? `${f.link_gbit_s.toFixed(2)} Gbit/s` : "–",
      "Release to photo": seconds(f.shot_s),
      "Developed in": seconds(f.develop_s),
    };
    $("figures").replaceChildren(...Object.entries(rows).flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)]));
  }
}
