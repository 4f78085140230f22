/** The photos: tiles edge to edge, the strip on a desktop, the thumbnail beside the shutter. */
import { $, cover, icons, iconButton, make } from "./page.js";
import { Photo } from "./photo.js";
import { say, sayLost } from "./notices.js";

export class Gallery {
  constructor() {
    this.sheet = $("gallery");
    /** @type {any[]} */
    this.photos = [];
    this.finished = "";
    /** @type {Set<string>} names of the photos under way, as last told */
    this.underWay = new Set();
    this.count = make("span");
    this.tiles = make("div", { class: "tiles", role: "list", "aria-label": "Photos" });
    this.empty = make("p", { class: "empty" }, "No photos yet.");
    this.sheet.append(make("header", {}, iconButton(icons.back, "Back to the camera", () => this.show(false)), make("h2", {}, "Photos"), this.count), this.tiles, this.empty);
    this.photo = new Photo({ remove: (name) => this.remove(name), neighbour: (name, by) => this.neighbour(name, by) });
    $("thumb").addEventListener("click", () => this.show(true));
    this.load();
  }

  get isOpen() { return !this.sheet.hidden; }

  /** @param {boolean} open */
  show(open) {
    this.sheet.hidden = !open;
    cover();
    if (open) { this.load(); this.sheet.querySelector("button").focus({ focusVisible: false }); } else $("thumb").focus({ focusVisible: false });
  }

  async load() {
    try {
      const response = await fetch("/api/photos");
      if (!response.ok) throw new Error((await response.json()).problem);
      this.photos = await response.json();
    } catch (error) {
      if (this.isOpen) say(`The photos cannot be listed: ${/** @type {Error} */ (error).message}`, "error");
      return;
    }
    this.render();
  }

  render() {
    const { photos } = this;
    this.count.textContent = photos.length ? String(photos.length) : "";
    this.empty.hidden = photos.length > 0;
    const tile = (/** @type {any} */ photo, /** @type {number} */ size) => make("button", { "aria-label": `Photo ${photo.name}`, onclick: () => this.photo.open(photo.name) },
      make("img", { src: `${address(photo.name)}/thumb?size=${size}&v=${version(photo)}`, alt: "", loading: "lazy", draggable: "false" }));
    this.tiles.replaceChildren(...photos.map((photo) => make("div", { role: "listitem", class: "cell" }, tile(photo, 512))));
    $("strip").replaceChildren(...photos.slice(0, 24).map((photo) => tile(photo, 256)));
    const picture = $("thumb-picture");
    picture.hidden = !photos.length;
    if (photos.length) picture.src = `${address(photos[0].name)}/thumb?size=256&v=${version(photos[0])}`;
    $("thumb").setAttribute("aria-description", photos.length ? `${photos.length} photos, last ${photos[0].name}` : "no photos yet");
  }

  /** @param {string} name @param {number} by */
  neighbour(name, by) {
    const i = this.photos.findIndex((photo) => photo.name === name);
    return this.photos[i + by]?.name;
  }

  /** @param {string} name */
  async remove(name) {
    const response = await fetch(address(name), { method: "DELETE" });
    if (!response.ok) { say((await response.json()).problem, "error"); return; }
    await this.load();
    say(`${name} deleted`, "info", { label: "Undo", act: async () => {
      const restored = await fetch(`${address(name)}/restore`, { method: "POST" });
      if (!restored.ok) say((await restored.json()).problem, "error");
      await this.load();
    } });
  }

  /** Photos under way: a thin ring around the thumbnail. @param {any[]} shots */
  showShots(shots) {
    const phases = { waiting: "waiting", preparing: "getting ready", exposing: "exposing", crossing: "crossing", developing: "developing", saving: "saving" };
    const order = Object.keys(phases);
    const under = shots.filter((shot) => shot.phase in phases);
    const shot = under[0];
    const circle = document.querySelector(".progress circle");
    const whole = shot ? (order.indexOf(shot.phase) + shot.fraction) / order.length : 0;
    const names = new Set(under.map((one) => one.name));
    for (const { name, phase, why } of shots) if (phase === "lost" && this.underWay.has(name) && !names.has(name)) sayLost(name, why);
    this.underWay = names;
    if (circle) /** @type {any} */ (circle).style.strokeDasharray = `${(100 * whole).toFixed(1)} 100`;
    const words = shot ? `${phases[/** @type {keyof typeof phases} */ (shot.phase)]}${shot.fraction > 0 && shot.fraction < 1 ? ` ${Math.round(shot.fraction * 100)} %` : ""}${under.length > 1 ? ` +${under.length - 1}` : ""}` : "";
    if ($("phase").textContent !== words) $("phase").textContent = words;
    const finished = shots.filter((s) => s.phase === "done").map((s) => s.name).join();
    if (finished !== this.finished) this.load();
    this.finished = finished;
  }
}

/** @param {string} name */
export const address = (name) => `/api/photos/${encodeURIComponent(name)}`;

/** Changes when a file does, so that the browser may keep what it fetched. @param {any} photo */
export const version = (photo) => encodeURIComponent(photo.version);
