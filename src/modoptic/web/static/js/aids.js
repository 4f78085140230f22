/** What helps to see: peaking, zebra, grid and histogram, drawn from the picture that is shown. */
import { $, memory } from "./page.js";

const WIDTH = 400;
const EVERY_MS = 60;

export class Aids {
  constructor() {
    this.on = { peaking: false, zebra: false, grid: false, histogram: true, ...memory.get("aids", {}), magnifier: false };
    this.moving = false;
    this.overlay = $("overlay");
    this.small = document.createElement("canvas");
    this.small.width = WIDTH;
    this.reader = this.small.getContext("2d", { willReadFrequently: true });
    this.mask = document.createElement("canvas");
    this.last = 0;
    /** @type {(name: string, on: boolean) => void} */
    this.changed = (_name, _on) => {};
    for (const button of document.querySelectorAll("[data-aid]")) {
      button.addEventListener("click", () => this.toggle(/** @type {any} */ (button).dataset.aid));
    }
    new ResizeObserver(() => this.drawOverlay()).observe(this.overlay);
    this.show();
  }

  /** @param {"peaking"|"zebra"|"grid"|"histogram"|"magnifier"} name */
  toggle(name) {
    this.on[name] = !this.on[name];
    memory.set("aids", this.on);
    this.show();
    this.changed(name, this.on[name]);
  }

  show() {
    for (const button of document.querySelectorAll("[data-aid]")) {
      button.setAttribute("aria-pressed", String(this.on[/** @type {keyof Aids["on"]} */ (/** @type {any} */ (button).dataset.aid)]));
    }
    $("histogram").hidden = !this.on.histogram;
    this.drawOverlay();
  }

  /** The ring moves: peaking appears until it rests. @param {boolean} moving */
  ringMoves(moving) { this.moving = moving; if (!moving) this.drawOverlay(); }

  get peaks() { return this.on.peaking || this.moving; }

  /** A new picture; it is marked after the browser has shown it, so that marks never hold it up. @param {HTMLCanvasElement} canvas @param {number} now */
  picture(canvas, now) {
    if (!(this.peaks || this.on.zebra) || now - this.last < EVERY_MS) return;
    this.last = now;
    requestAnimationFrame(() => setTimeout(() => this.markPicture(canvas, now)));
  }

  /** @param {HTMLCanvasElement} canvas @param {number} now */
  markPicture(canvas, now) {
    const height = Math.round((WIDTH * canvas.height) / canvas.width);
    if (this.small.height !== height) this.small.height = height;
    this.reader?.drawImage(canvas, 0, 0, WIDTH, height);
    const source = this.reader?.getImageData(0, 0, WIDTH, height);
    if (!source) return;
    this.mask.width = WIDTH;
    this.mask.height = height;
    this.mask.getContext("2d")?.putImageData(mark(source, this.peaks, this.on.zebra, now, 900), 0, 0);
    this.drawOverlay();
  }

  /** Peaking inside the magnifier. @param {CanvasRenderingContext2D} context @param {number} side */
  loupe(context, side) {
    if (!this.peaks) return;
    const source = context.getImageData(0, 0, side, side);
    const layer = document.createElement("canvas");
    layer.width = layer.height = side;
    layer.getContext("2d")?.putImageData(mark(source, true, false, 0, 3600), 0, 0);
    context.drawImage(layer, 0, 0);
  }

  drawOverlay() {
    const canvas = this.overlay;
    const dpr = devicePixelRatio || 1;
    const w = Math.round(canvas.clientWidth * dpr);
    const h = Math.round(canvas.clientHeight * dpr);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, w, h);
    if ((this.peaks || this.on.zebra) && this.mask.width === WIDTH) context.drawImage(this.mask, 0, 0, w, h);
    if (!this.on.grid) return;
    context.fillStyle = "#ffffff4d";
    for (const third of [1, 2]) {
      context.fillRect(Math.round((w * third) / 3), 0, dpr, h);
      context.fillRect(0, Math.round((h * third) / 3), w, dpr);
    }
  }

  /** @param {number[]} bins 0..255 @param {number} clipped part of all photosites */
  histogram(bins, clipped) {
    const canvas = $("histogram");
    const context = canvas.getContext("2d");
    const { width: w, height: h } = canvas;
    context.clearRect(0, 0, w, h);
    if (!bins.length || !this.on.histogram) return;
    context.beginPath();
    context.moveTo(8, h - 6);
    bins.forEach((v, i) => context.lineTo(8 + ((w - 16) * i) / (bins.length - 1), h - 6 - ((h - 16) * v) / 255));
    context.lineTo(w - 8, h - 6);
    context.fillStyle = "#f2f0eab0";
    context.fill();
    context.fillStyle = "#ffffff2e";
    for (const quarter of [1, 2, 3]) context.fillRect((w * quarter) / 4, 8, 1, h - 14);
    if (clipped > 0.0005) {
      context.fillStyle = "#ff5a4d";
      context.fillRect(w - 9, 8, 4, h - 14);
    }
    canvas.setAttribute("aria-label", clipped > 0.0005 ? `Histogram, ${(clipped * 100).toFixed(1)} % clipped` : "Histogram");
  }
}

/**
 * Edges that are sharp get a colour, light that is nearly clipped gets stripes.
 * @param {ImageData} source @param {boolean} peaking @param {boolean} zebra @param {number} now
 * @param {number} threshold of peaking; the magnifier has more noise in each pixel
 */
function mark(source, peaking, zebra, now, threshold) {
  const { width, height, data } = source;
  const out = new ImageData(width, height);
  const pixels = new Uint32Array(out.data.buffer);
  const luma = new Int16Array(width * height);
  for (let i = 0, p = 0; i < luma.length; i++, p += 4) luma[i] = (data[p] * 54 + data[p + 1] * 183 + data[p + 2] * 19) >> 8;
  const phase = Math.floor(now / 60);
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * width + 1, end = i + width - 2; i < end; i++) {
      if (zebra && luma[i] > 247) {
        if (((i % width) + y + phase) % 8 < 3) pixels[i] = 0xd04d5aff;
      } else if (peaking) {
        // second differences: high where detail is fine, low on soft edges of any contrast
        const across = 2 * luma[i] - luma[i - 1] - luma[i + 1];
        const down = 2 * luma[i] - luma[i - width] - luma[i + width];
        if (across * across + down * down > threshold) pixels[i] = 0xff3ab4ff;
      }
    }
  }
  return out;
}
