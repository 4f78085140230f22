/** The picture: decodes what comes, draws the newest, shows the magnifier where the focus point is. */
import { $, memory, write } from "./page.js";
import { Decoder, unpack } from "./frames.js";
import * as format from "./format.js";

const STALE_MS = 2000;
/** The age from which the picture is visibly behind the hand. */
const SLOW_MS = 400;

export class Finder {
  /** @param {import("./connection.js").Connection} connection @param {import("./aids.js").Aids} aids */
  constructor(connection, aids) {
    this.connection = connection;
    this.aids = aids;
    this.frame = $("frame");
    this.canvas = $("picture");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.loupe = $("loupe");
    this.loupeCanvas = $("loupe-picture");
    /** @type {[number, number]} where to focus and magnify, 0..1 of the picture */
    this.point = [0.5, 0.5];
    this.drawn = 0;
    /** @type {number[]} when the last frames were drawn */
    this.times = [];
    this.ageMs = 0;
    this.lateMs = 0;
    this.header = null;
    /** photosites across the active camera's sensor */
    this.sensorWidth = 0;
    const done = (/** @type {number} */ ticket, /** @type {number|null} */ at) =>
      connection.send({ type: "ack", ticket, drawn_us: at === null || !connection.synchronised ? null : connection.serverUs(at) });
    this.decoders = {
      finder: new Decoder((bitmap, picture) => this.draw(bitmap, picture), done),
      magnifier: new Decoder((bitmap) => this.magnify(bitmap), done),
    };
    connection.on("frame", (message) => {
      const picture = unpack(message);
      this.decoders[/** @type {"finder"|"magnifier"} */ (picture.kind)].push(picture);
    });
    new ResizeObserver(() => { this.place(); this.tellSize(); }).observe(this.frame);
    connection.on("open", () => this.tellSize());
    setInterval(() => this.watch(), 500);
  }

  /** @param {ImageBitmap} bitmap @param {import("./frames.js").Picture} picture */
  draw(bitmap, picture) {
    const { canvas } = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      document.documentElement.style.setProperty("--aspect", String(bitmap.width / bitmap.height));
    }
    this.context.drawImage(bitmap, 0, 0);
    const now = performance.now();
    this.aids.picture(canvas, now);
    this.header = picture.header;
    this.drawn++;
    this.at = now;
    this.times.push(now);
    while (now - this.times[0] > 1000) this.times.shift();
    const here = this.connection.serverUs(now);
    this.ageMs = (here - picture.midUs) / 1000;
    this.lateMs = (here - picture.readoutUs) / 1000;
    canvas.dataset.frames = String(this.drawn);
    canvas.dataset.camera = picture.header.camera;
  }

  /** The phone makes no larger pictures than are looked at. */
  tellSize() {
    this.connection.send({ type: "view", width: Math.round(this.frame.clientWidth * (devicePixelRatio || 1)) });
  }

  get rate() { return this.times.length > 1 ? (1000 * (this.times.length - 1)) / (this.times[this.times.length - 1] - this.times[0]) : 0; }

  /** The sensor's own pixels, one to one on the display's. @param {ImageBitmap} bitmap */
  magnify(bitmap) {
    const canvas = this.loupeCanvas;
    const side = Math.round(this.loupe.clientWidth * (devicePixelRatio || 1));
    if (!side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.imageSmoothingEnabled = false;
    const grow = Math.max(1, Math.ceil(side / Math.min(bitmap.width, bitmap.height)));
    const part = side / grow;
    context.drawImage(bitmap, (bitmap.width - part) / 2, (bitmap.height - part) / 2, part, part, 0, 0, side, side);
    this.aids.loupe(context, side);
    canvas.dataset.frames = String(Number(canvas.dataset.frames ?? 0) + 1);
    this.loupe.lastChild.textContent = `${grow}:1`;
  }

  /** @param {[number, number]|null} at */
  showLoupe(at) {
    const opens = this.loupe.hidden;
    this.loupe.hidden = !at;
    if (!at) return;
    this.place();
    if (opens) this.foretell();
  }

  /** Until the sensor's own pixels come, the magnifier shows the same place of the finder's picture. */
  foretell() {
    const { canvas, loupeCanvas } = this;
    const side = Math.round(this.loupe.clientWidth * (devicePixelRatio || 1));
    if (!side || !this.drawn || !this.sensorWidth) return;
    loupeCanvas.width = loupeCanvas.height = side;
    const part = (side * canvas.width) / this.sensorWidth;
    const [x, y] = [this.point[0] * canvas.width - part / 2, this.point[1] * canvas.height - part / 2];
    loupeCanvas.getContext("2d", { alpha: false, willReadFrequently: true })?.drawImage(canvas, x, y, part, part, 0, 0, side, side);
  }

  /** @param {[number, number]} point 0..1 */
  focusAt(point) {
    this.point = point;
    this.place();
    const reticle = $("reticle");
    reticle.classList.remove("seek");
    void reticle.offsetWidth;
    reticle.classList.add("seek");
  }

  place() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const reticle = $("reticle");
    reticle.style.left = `${this.point[0] * 100}%`;
    reticle.style.top = `${this.point[1] * 100}%`;
    const size = this.loupe.offsetWidth;
    const clamp = (/** @type {number} */ v, /** @type {number} */ max) => Math.max(4, Math.min(max - size - 4, v - size / 2));
    this.loupe.style.left = `${clamp(this.point[0] * w, w)}px`;
    this.loupe.style.top = `${clamp(this.point[1] * h, h)}px`;
  }

  /** Says how old the picture is, when it does not move any more. */
  watch() {
    const old = this.at ? performance.now() - this.at : 0;
    const lost = !this.connection.open;
    const stale = lost || old > STALE_MS;
    const dark = !this.drawn && performance.now() > STALE_MS;
    $("lost").hidden = !stale && !dark;
    this.frame.classList.toggle("old", stale && this.drawn > 0);
    write($("lost").firstChild, lost ? "Connection lost" : this.drawn ? "No picture" : "No camera yet");
    const again = lost ? " · trying again" : "";
    write($("lost-age"), this.drawn ? `this picture is ${Math.max(1, Math.round(old / 1000))} s old${again}` : lost ? "trying again" : "waiting for one");
    write($("age"), this.drawn && !stale ? format.age(Math.max(0, this.lateMs)) : "–");
    $("age").classList.toggle("slow", !stale && this.lateMs > SLOW_MS);
  }
}

/** Taps on the picture focus there. @param {Finder} finder @param {(point: [number, number]) => void} focus */
export function tapToFocus(finder, focus) {
  /** @type {PointerEvent|null} */
  let down = null;
  finder.canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => { down = e.isPrimary ? e : null; });
  finder.canvas.addEventListener("pointerup", (/** @type {PointerEvent} */ e) => {
    if (!down || Math.hypot(e.clientX - down.clientX, e.clientY - down.clientY) > 12) return;
    const box = finder.canvas.getBoundingClientRect();
    const at = (/** @type {number} */ v) => Math.max(0, Math.min(1, Number(v.toFixed(4))));
    focus([at((e.clientX - box.left) / box.width), at((e.clientY - box.top) / box.height)]);
  });
}

/** Lets an element be dragged inside the picture and remembers where. @param {HTMLElement} element @param {string} name */
export function movable(element, name) {
  const put = (/** @type {[number, number]} */ [x, y]) => {
    Object.assign(element.style, { left: `${x * 100}%`, top: `${y * 100}%`, right: "auto", bottom: "auto" });
  };
  const kept = memory.get(`place.${name}`, null);
  if (kept) put(kept);
  element.addEventListener("pointerdown", (down) => {
    const parent = /** @type {HTMLElement} */ (element.parentElement);
    const box = element.getBoundingClientRect();
    const outer = parent.getBoundingClientRect();
    element.setPointerCapture(down.pointerId);
    /** @type {[number, number]} */
    let at = [(box.left - outer.left) / outer.width, (box.top - outer.top) / outer.height];
    const move = (/** @type {PointerEvent} */ e) => {
      const x = (box.left - outer.left + e.clientX - down.clientX) / outer.width;
      const y = (box.top - outer.top + e.clientY - down.clientY) / outer.height;
      at = [Math.max(0, Math.min(1 - box.width / outer.width, x)), Math.max(0, Math.min(1 - box.height / outer.height, y))];
      put(at);
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", () => { element.removeEventListener("pointermove", move); memory.set(`place.${name}`, at); }, { once: true });
  });
}
