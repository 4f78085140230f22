/** The exposure row: bright is set by hand, grey was chosen by the camera. */
import { $, write } from "./page.js";
import * as format from "./format.js";
import { evScale, irisScale, isoScale, shutterScale, whiteScale } from "./scales.js";

const DOUBLE_MS = 320;
const AUTO_NAMES = { f_number: "f_number", exposure_s: "exposure_s", iso: "iso", white_kelvin: "white_balance" };

/** What a control is in the phone's state. @param {any} state @param {string} name */
function control(state, name) {
  if (name === "f_number") return state.lens?.f_number ?? null;
  if (name === "ev") return { value: state.ev, auto: Math.abs(state.ev) < 0.01, minimum: -3, maximum: 3 };
  if (name === "white_kelvin") return { value: state.white_kelvin, auto: state.white_balance === "auto", minimum: 2000, maximum: 10000 };
  return state[name];
}

const words = { f_number: format.fNumber, exposure_s: format.shutter, iso: format.iso, ev: format.ev, white_kelvin: format.kelvin };
const labels = { f_number: "Iris", exposure_s: "Shutter speed", iso: "ISO", ev: "Exposure compensation", white_kelvin: "White balance" };
const makers = { f_number: irisScale, exposure_s: shutterScale, iso: isoScale, ev: evScale, white_kelvin: whiteScale };

export class Exposure {
  /** @param {import("./ring.js").Ring} dial @param {(action: object) => void} act */
  constructor(dial, act) {
    this.dial = dial;
    this.act = act;
    /** @type {keyof typeof words} what the dial ring turns now */
    this.open = "f_number";
    this.engraved = "";
    this.tapped = { name: "", at: 0 };
    for (const button of this.buttons()) {
      button.addEventListener("click", () => this.tap(/** @type {any} */ (button).dataset.control));
    }
    $("all-auto").addEventListener("click", () => this.allAuto());
  }

  /** @returns {NodeListOf<HTMLButtonElement>} */
  buttons() { return document.querySelectorAll("[data-control]"); }

  /** @param {keyof typeof words} name */
  tap(name) {
    const now = performance.now();
    const double = this.tapped.name === name && now - this.tapped.at < DOUBLE_MS;
    this.tapped = { name, at: double ? 0 : now };
    if (double) { this.giveBack(name); return; }
    const shown = control(this.state, name);
    if (!shown) return;
    if (this.open === name && name !== "f_number" && !shown.auto) this.openDial("f_number");
    else this.openDial(name);
    if (shown.auto && name !== "ev" && shown.maximum > shown.minimum) this.act({ type: "set", [name]: this.dial.scale?.toValue(this.dial.raw) });
  }

  /** @param {keyof typeof words} name */
  giveBack(name) {
    if (name === "ev") this.act({ type: "set", ev: 0 });
    else this.act({ type: "set", auto: [AUTO_NAMES[/** @type {keyof typeof AUTO_NAMES} */ (name)]] });
    this.openDial("f_number");
  }

  allAuto() {
    this.act({ type: "set", auto: Object.values(AUTO_NAMES) });
    this.openDial("f_number");
  }

  /** @param {keyof typeof words} name */
  openDial(name) { this.open = name; this.engraved = ""; this.show(this.state); }

  /** The dial was turned. @param {number} value */
  turned(value) { this.act({ type: "set", [this.open]: value }); this.write(this.open, value); }

  /** @param {string} name @param {number} value */
  write(name, value) {
    const button = document.querySelector(`[data-control="${name}"]`);
    const text = words[/** @type {keyof typeof words} */ (name)](value);
    if (button) write(button.lastElementChild, text);
    return text;
  }

  /** @param {any} state */
  show(state) {
    if (!state) return;
    this.state = state;
    let allAuto = true;
    for (const button of this.buttons()) {
      const name = /** @type {keyof typeof words} */ (button.dataset.control);
      const shown = control(state, name);
      button.disabled = !shown;
      if (!shown) { write(button.lastElementChild, "–"); continue; }
      const fixed = shown.maximum - shown.minimum < 1e-9;
      const busy = this.open === name && (this.dial.held || performance.now() - this.dial.handAt < 600);
      const text = this.write(name, busy ? this.dial.value : shown.value);
      allAuto &&= shown.auto || fixed;
      button.classList.toggle("auto", shown.auto && !fixed);
      button.classList.toggle("fixed", fixed);
      button.classList.toggle("open", this.open === name && name !== "f_number");
      button.ariaDescription = `${text}, ${fixed ? "fixed" : shown.auto ? "automatic" : "by hand"}`;
    }
    $("all-auto").setAttribute("aria-pressed", String(allAuto));
    this.engrave(state);
  }

  /** Puts the scale of what is open on the dial ring. @param {any} state */
  engrave(state) {
    const shown = control(state, this.open);
    if (!shown) return;
    const key = `${this.open} ${shown.minimum} ${shown.maximum}`;
    if (key !== this.engraved) {
      this.engraved = key;
      this.dial.canvas.setAttribute("aria-label", this.open === "f_number" ? "Iris ring" : `${labels[this.open]} dial`);
      this.dial.engrave(makers[this.open](shown.minimum, shown.maximum), shown.value);
    } else {
      this.dial.follow(shown.value);
    }
    this.dial.dress({ auto: shown.auto && this.open !== "ev" });
  }
}
