/**
 * A ring of the lens: a slider that is drawn as metal and turned by finger, wheel or keys.
 *
 * The ring is a cylinder seen from the side: a mark at angle a from the index lies at R sin a. Local drawing
 * follows the hand in the same display frame; what the camera says moves the ring only when no hand is on it.
 */
import { calm, tick } from "./page.js";

/** @typedef {import("./scales.js").Scale} Scale */

const AFTER_HAND_MS = 600;
const FINE = 1 / 6;
const FINE_PULL_PX = 56;

export class Ring {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{label: string, onTurn: (value: any) => void, onHold?: () => void, onRest?: () => void, onFine?: (fine: boolean) => void}} options
   */
  constructor(canvas, options) {
    this.canvas = canvas;
    this.options = options;
    /** @type {Scale|null} */
    this.scale = null;
    this.angle = 0;
    this.raw = 0;
    this.value = 0;
    /** @type {[number, number]|null} depth of field, angles */
    this.bracket = null;
    this.auto = false;
    this.fixed = false;
    this.held = false;
    this.handAt = -1e9;
    this.animation = 0;
    this.dressed = "";
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "slider");
    canvas.setAttribute("aria-label", options.label);
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("dblclick", (event) => event.preventDefault());
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  get vertical() { return this.canvas.clientHeight > this.canvas.clientWidth; }

  /** @param {Scale} scale @param {any} value */
  engrave(scale, value) {
    this.scale = scale;
    this.value = value;
    this.angle = this.raw = this.limit(scale.toAngle(value));
    this.fixed = scale.high - scale.low < 1e-6;
    this.describe();
    this.draw();
  }

  /** What the camera says; the hand has precedence. @param {any} value */
  follow(value) {
    if (!this.scale || this.held || performance.now() - this.handAt < AFTER_HAND_MS) return;
    const angle = this.limit(this.scale.toAngle(value));
    if (Math.abs(angle - this.raw) < 1e-5 && value === this.value) return;
    this.value = value;
    this.raw = angle;
    this.glide(angle);
    this.describe();
  }

  /** Draws again if what is shown beside the angle is another one. @param {{auto?: boolean, bracket?: [number, number]}} look */
  dress(look) {
    const key = JSON.stringify(look);
    if (key === this.dressed) return;
    this.dressed = key;
    Object.assign(this, look);
    this.draw();
  }

  /** @param {number} angle */
  limit(angle) { return this.scale ? Math.min(this.scale.high, Math.max(this.scale.low, angle)) : 0; }

  /** @param {number} by radians */
  turn(by) {
    const scale = this.scale;
    if (!scale || this.fixed) return;
    this.handAt = performance.now();
    const before = this.raw;
    this.raw = this.limit(before + by);
    if (this.raw === before) { if (before === scale.low || before === scale.high) this.bump(); return; }
    if (this.raw === scale.low || this.raw === scale.high) tick(10);
    this.angle = scale.detents ? soft(this.raw, scale.step) : this.raw;
    cancelAnimationFrame(this.animation);
    this.draw();
    const value = scale.toValue(this.raw);
    if (value !== this.value) {
      this.value = value;
      if (scale.detents) tick(4);
      this.describe();
      this.options.onTurn(value);
    }
  }

  bump() { this.canvas.dataset.end = this.raw === this.scale?.low ? "low" : "high"; }

  /** One detent, or one small turn. @param {number} direction @param {boolean} fine */
  step(direction, fine) {
    if (!this.scale) return;
    this.options.onHold?.();
    if (this.scale.detents) this.raw = this.nearest();
    this.turn(direction * (fine ? this.scale.fine : this.scale.step));
    this.settle();
  }

  nearest() {
    const step = this.scale?.step ?? 1;
    return this.limit(Math.round(this.raw / step) * step);
  }

  settle() {
    if (this.scale?.detents) { this.raw = this.nearest(); this.glide(this.raw); }
    this.options.onRest?.();
  }

  /** @param {PointerEvent} down */
  grab(down) {
    if (down.button !== 0 || !this.scale) return;
    down.preventDefault();
    this.canvas.classList.add("touched"); // a finger needs no mark of where the keys go
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(down.pointerId);
    this.held = true;
    this.raw = this.scale.detents ? this.raw : this.angle;
    this.options.onHold?.();
    const along = (/** @type {PointerEvent} */ e) => (this.vertical ? -e.clientY : e.clientX);
    const across = (/** @type {PointerEvent} */ e) => {
      const box = this.canvas.getBoundingClientRect();
      return this.vertical ? Math.max(box.left - e.clientX, e.clientX - box.right) : Math.max(box.top - e.clientY, e.clientY - box.bottom);
    };
    let last = along(down);
    const move = (/** @type {PointerEvent} */ e) => {
      if (e.pointerId !== down.pointerId) return;
      const fine = across(e) > FINE_PULL_PX || e.shiftKey;
      this.options.onFine?.(fine);
      // the metal moves with the finger, so larger values come from the side it leaves
      this.turn(((last - along(e)) / this.radius()) * (fine ? FINE : 1));
      last = along(e);
    };
    const up = (/** @type {PointerEvent} */ e) => {
      if (e.pointerId !== down.pointerId) return;
      this.canvas.removeEventListener("pointermove", move);
      this.canvas.removeEventListener("pointerup", up);
      this.canvas.removeEventListener("pointercancel", up);
      this.held = false;
      this.handAt = performance.now();
      this.options.onFine?.(false);
      this.settle();
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", up);
    this.canvas.addEventListener("pointercancel", up);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    if (!this.scale) return;
    this.options.onHold?.();
    const delta = (event.deltaY || event.deltaX) * (event.deltaMode === 1 ? 24 : 1);
    this.turn((-delta / this.radius()) * (event.shiftKey ? FINE : 1) * (this.scale.detents ? 0.5 : 0.35));
    clearTimeout(this.wheelRest);
    this.wheelRest = setTimeout(() => this.settle(), 160);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 4, PageDown: -4, Home: -999, End: 999 };
    this.canvas.classList.remove("touched");
    const direction = steps[/** @type {keyof steps} */ (event.key)];
    if (!direction) return;
    event.preventDefault();
    event.stopPropagation();
    if (Math.abs(direction) > 99) { this.options.onHold?.(); this.turn(direction); this.settle(); } else this.step(direction, event.shiftKey);
  }

  describe() {
    const scale = this.scale;
    if (!scale) return;
    const set = (/** @type {string} */ name, /** @type {any} */ v) => this.canvas.setAttribute(name, String(v));
    set("aria-valuemin", 0);
    set("aria-valuemax", 1000);
    const span = scale.high - scale.low;
    set("aria-valuenow", span ? Math.round((1000 * (this.raw - scale.low)) / span) : 0);
    set("aria-valuetext", scale.words(this.value));
    set("aria-orientation", this.vertical ? "vertical" : "horizontal");
    set("aria-disabled", this.fixed);
  }

  /** Motion explains a change that already happened. @param {number} to */
  glide(to) {
    cancelAnimationFrame(this.animation);
    if (calm()) { this.angle = to; this.draw(); return; }
    const from = this.angle;
    const start = performance.now();
    const run = (/** @type {number} */ now) => {
      const t = Math.min(1, Math.max(0, (now - start) / 130));
      this.angle = from + (to - from) * (1 - (1 - t) ** 3);
      this.draw();
      if (t < 1) this.animation = requestAnimationFrame(run);
    };
    this.animation = requestAnimationFrame(run);
  }

  radius() { return 0.56 * Math.max(this.canvas.clientWidth, this.canvas.clientHeight, 60); }

  resize() {
    const dpr = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * dpr);
    this.canvas.height = Math.round(this.canvas.clientHeight * dpr);
    this.draw();
  }

  draw() {
    const scale = this.scale;
    const ctx = this.canvas.getContext("2d");
    if (!ctx || !scale || !this.canvas.width) return;
    const dpr = devicePixelRatio || 1;
    const vertical = this.vertical;
    const length = (vertical ? this.canvas.height : this.canvas.width) / dpr;
    const width = (vertical ? this.canvas.width : this.canvas.height) / dpr;
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    if (vertical) { ctx.translate(0, length); ctx.rotate(-Math.PI / 2); }
    const style = getComputedStyle(document.documentElement);
    const ink = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    paintRing(ctx, { scale, angle: this.angle, length, width, radius: this.radius(), vertical, bracket: this.bracket, auto: this.auto, held: this.held, ink });
  }
}

/** Rests in the detents: flat near them, quick between. @param {number} raw @param {number} step */
function soft(raw, step) {
  const near = Math.round(raw / step);
  const off = raw / step - near;
  return (near + Math.sign(off) * (2 * Math.abs(off)) ** 2.2 * 0.5) * step;
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {{scale: Scale, angle: number, length: number, width: number, radius: number, vertical: boolean,
 *   bracket: [number, number]|null, auto: boolean, held: boolean, ink: (name: string) => string}} ring
 */
function paintRing(ctx, ring) {
  const { scale, angle, length, width, radius, vertical, ink } = ring;
  const middle = length / 2;
  const place = (/** @type {number} */ at) => middle + radius * Math.sin(at - angle);
  const grip = Math.round(width * (scale.detents ? 0.62 : 0.56));
  const night = document.documentElement.dataset.theme === "night";

  const metal = ctx.createLinearGradient(0, 0, length, 0);
  const tones = night ? ["#050000", "#1a0504", "#2a0a07", "#220806", "#050000"] : ["#060606", "#1f1e1d", "#34322f", "#262523", "#070707"];
  [0, 0.2, 0.42, 0.66, 1].forEach((at, i) => metal.addColorStop(at, tones[i]));
  ctx.fillStyle = metal;
  ctx.fillRect(0, 0, length, width);

  // the grip: ridges that run around with the ring
  const pitch = 0.052;
  ctx.fillStyle = "#0000006b";
  ctx.fillRect(0, grip, length, width - grip);
  for (let n = Math.ceil((angle - 1.5) / pitch); n * pitch < angle + 1.5; n++) {
    const x = place(n * pitch);
    const facing = Math.cos(n * pitch - angle);
    const w = radius * pitch * 0.62 * facing;
    if (x < -w || x > length + w || w < 0.4) continue;
    const light = 0.05 + 0.16 * facing * (1 - Math.abs(x / length - 0.42));
    ctx.fillStyle = night ? `rgba(255,90,70,${light * 0.6})` : `rgba(255,250,240,${light})`;
    ctx.fillRect(x - w / 2, grip + 3, w, width - grip - 6);
    ctx.fillStyle = `rgba(0,0,0,${0.4 * facing})`;
    ctx.fillRect(x + w / 2 - 0.8, grip + 3, 0.9, width - grip - 6);
  }
  ctx.fillStyle = "#000000b0";
  ctx.fillRect(0, grip - 1, length, 1.5);
  ctx.fillStyle = night ? "#ff4a3a14" : "#ffffff1c";
  ctx.fillRect(0, grip + 0.5, length, 1);
  ctx.fillRect(0, 0, length, 1);

  // the engraving
  const size = Math.max(11, Math.min(17, grip * (vertical ? 0.22 : 0.3)));
  const line = grip * (vertical ? 0.4 : 0.46);
  const bright = night ? "255,86,70" : "242,240,234";
  const accent = night ? ink("--accent") : "#ffb43a";
  let room = -Infinity;
  for (const mark of [...scale.marks].sort((a, b) => a.at - b.at)) {
    const off = mark.at - angle;
    if (Math.abs(off) > 1.45) continue;
    const x = place(mark.at);
    const facing = Math.cos(off);
    const at = Math.abs(x - middle) < radius * (scale.detents ? 0.03 : 0.035);
    ctx.fillStyle = `rgba(${bright},${(mark.major ? 0.75 : 0.4) * facing ** 1.4})`;
    const tall = mark.major ? 9 : 5;
    ctx.fillRect(x - 0.6 * facing, grip - 5 - tall, 1.3 * facing, tall);
    const needs = ctx.measureText(mark.text).width * (vertical ? 0.6 : 1) * facing + 9;
    if (!mark.text || x - room < (vertical ? size * 1.4 * facing : needs)) continue;
    room = x;

    ctx.save();
    ctx.translate(x, line - (vertical ? 0 : size * 0.35));
    if (vertical) { ctx.rotate(Math.PI / 2); ctx.scale(1, facing); } else ctx.scale(facing, 1);
    ctx.font = `${at ? 700 : 400} ${size}px ui-monospace, "SF Mono", "Roboto Mono", "DejaVu Sans Mono", monospace`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillStyle = at && !ring.auto ? `rgb(${bright})` : `rgba(${bright},${(ring.auto ? 0.4 : 0.62) * facing ** 1.6})`;
    ctx.fillText(mark.text, 0, 0);
    ctx.restore();
  }

  // depth of field: a bracket that opens and closes with the iris
  if (ring.bracket) {
    const [from, to] = ring.bracket.map((at) => middle + radius * Math.sin(Math.max(-1.4, Math.min(1.4, at - angle))));
    ctx.strokeStyle = accent;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(from, grip - 6); ctx.lineTo(from, grip + 2.5); ctx.lineTo(Math.max(to, from + 2), grip + 2.5); ctx.lineTo(Math.max(to, from + 2), grip - 6);
    ctx.stroke();
  }

  // the index does not turn
  ctx.fillStyle = ring.auto ? `rgba(${bright},.5)` : accent;
  ctx.fillRect(middle - 1.5, 0, 3, vertical ? Math.min(10, grip * 0.09) : grip * 0.15);
  ctx.fillRect(middle - 1.5, grip - (vertical ? 10 : 14), 3, vertical ? 10 : 14);
}
