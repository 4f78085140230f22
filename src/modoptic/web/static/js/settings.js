/** Settings: which camera, what a photo is, how the page looks. */
import { $, icons, iconButton, make, memory, write } from "./page.js";
import * as format from "./format.js";

export class Settings {
  /** @param {(action: object) => void} act */
  constructor(act) {
    this.act = act;
    this.sheet = $("settings");
    this.body = make("div");
    this.sheet.append(make("header", {}, make("h2", {}, "Settings"), iconButton(icons.close, "Close settings", () => this.show(false), "close")), this.body);
    $("chip").addEventListener("click", () => this.show(this.sheet.hidden));
    $("size").addEventListener("click", () => this.nextSize());
    this.look(memory.get("theme", "dark"));
    this.hand(memory.get("hand", "right"));
  }

  /** @param {boolean} open */
  show(open) {
    this.sheet.hidden = !open;
    $("chip").setAttribute("aria-expanded", String(open));
    if (open) this.refresh();
  }

  get isOpen() { return !this.sheet.hidden; }

  /** @param {string} theme */
  look(theme) { document.documentElement.dataset.theme = theme; memory.set("theme", theme); }

  /** @param {string} hand */
  hand(hand) { document.documentElement.dataset.hand = hand; memory.set("hand", hand); dispatchEvent(new Event("resize")); }

  nextSize() {
    const sizes = this.state?.still_megapixels ?? [];
    if (sizes.length < 2) return;
    this.act({ type: "choose", still_size: sizes[(sizes.indexOf(this.state.still_size) + 1) % sizes.length] });
  }

  /** @param {any} state */
  showState(state) {
    const changed = JSON.stringify(this.shown) !== JSON.stringify(this.part(state));
    this.state = state;
    this.shown = this.part(state);
    const camera = state.cameras.find((/** @type {any} */ c) => c.id === state.active);
    write($("chip-title"), camera ? `${camera.title} · ${camera.sensor_format}` : "No camera");
    const dock = state.dock.state;
    const dot = document.querySelector("#chip .dot");
    if (dot) dot.className = `dot ${camera && !camera.built_in ? "ready" : dock === "DETACHED" || dock === "READY" || dock === "OFF" ? "" : dock === "FAULT" || dock === "REFUSED" ? "fault" : "busy"}`;
    write($("size"), camera ? format.megapixels(state.still_size) : "");
    if (changed && this.isOpen) this.refresh();
  }

  /** @param {any} s */
  part(s) { return [s.active, s.cameras, s.still_megapixels, s.still_size, s.save_dng, s.dng_compression, s.auto_switch, s.gallery_dir]; }

  refresh() {
    const s = this.state;
    if (!s) return;
    const choose = (/** @type {object} */ fields) => this.act({ type: "choose", ...fields });
    const raw = s.save_dng ? s.dng_compression : "off";
    this.body.replaceChildren(
      choices("Camera", s.cameras.map((/** @type {any} */ c) => [c.id, c.title]), s.active, (id) => this.act({ type: "switch", camera: id })),
      toggle("Switch by itself", "to a module when it is snapped on, and back", s.auto_switch, () => choose({ auto_switch: !s.auto_switch })),
      choices("Photo", s.still_megapixels.map((/** @type {number} */ mp) => [mp, format.megapixels(mp)]), s.still_size, (mp) => choose({ still_size: mp })),
      choices("Raw beside the JPEG", [["off", "Off"], ["jpeg", "DNG"], ["jpegxl", "Compact DNG"]], raw,
        (kind) => choose(kind === "off" ? { save_dng: false } : { save_dng: true, dng_compression: kind })),
      choices("Look", [["dark", "Dark"], ["light", "Sun"], ["night", "Night"]], document.documentElement.dataset.theme, (t) => { this.look(t); this.refresh(); }),
      choices("Hand", [["right", "Right"], ["left", "Left"]], document.documentElement.dataset.hand, (h) => { this.hand(h); this.refresh(); }),
      make("p", { class: "settings-note" }, "DNG opens everywhere. Compact DNG is JPEG XL (DNG 1.7): Adobe's programs and modoptic read it; LibRaw, darktable 4.2 and RawTherapee 5.9 do not yet."),
      make("p", { class: "settings-note" }, s.gallery_dir ? `Photos are in ${s.gallery_dir}` : ""));
  }
}

/** @param {string} label @param {any[][]} options @param {any} value @param {(value: any) => void} pick */
function choices(label, options, value, pick) {
  return make("div", { class: "row" }, make("span", {}, label), make("div", { class: "choices", role: "radiogroup", "aria-label": label },
    ...options.map(([key, text]) => make("button", { role: "radio", "aria-checked": String(key === value), "aria-label": `${label}: ${text}`, onclick: () => pick(key) }, text))));
}

/** @param {string} label @param {string} small @param {boolean} on @param {() => void} onclick */
function toggle(label, small, on, onclick) {
  return make("div", { class: "row" }, make("span", {}, label, make("small", {}, small)),
    make("button", { class: "switch", role: "switch", "aria-label": label, "aria-checked": String(on), onclick }));
}
