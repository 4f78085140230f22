/** Small things about the page itself. */

/** The element with this id. @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/**
 * A new element. @param {string} name @param {Record<string, any>} [attributes] @param {...(Node|string)} children
 * @returns {any}
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Changes a text only if it is another one, so that nothing is laid out again. @param {any} element @param {string} words */
export function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

export const icons = {
  close: '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6 6l12 12M18 6L6 18"/></svg>',
  back: '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M15 4l-8 8 8 8"/></svg>',
};

/** A button that shows an icon of ours. @param {string} icon @param {string} label @param {() => void} onclick */
export function iconButton(icon, label, onclick, extra = "") {
  const button = make("button", { class: `icon ${extra}`, "aria-label": label, onclick });
  button.innerHTML = icon;
  return button;
}

/** What lies under the photos cannot be reached while they are open. */
export function cover() {
  const [camera, gallery, photo] = [document.querySelector("main"), $("gallery"), $("photo")];
  if (camera) camera.inert = !gallery.hidden || !photo.hidden;
  gallery.inert = !photo.hidden;
}

/** Settings of this page alone, kept by the browser where it lets us. */
export const memory = {
  /** @param {string} key @param {any} fallback */
  get(key, fallback) {
    try { return JSON.parse(localStorage.getItem(`modoptic.${key}`) ?? "null") ?? fallback; } catch { return fallback; }
  },
  /** @param {string} key @param {any} value */
  set(key, value) {
    try { localStorage.setItem(`modoptic.${key}`, JSON.stringify(value)); } catch { /* private window */ }
  },
};

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A tick in the hand, where the device has one. @param {number} ms */
export function tick(ms) {
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(ms);
}

/** Sends the newest value at most 40 times a second, the last one always. */
export class Throttle {
  /** @param {(value: any) => void} send @param {number} ms */
  constructor(send, ms = 25) { this.send = send; this.ms = ms; this.timer = 0; this.last = -1e9; }
  /** @param {any} value */
  push(value) {
    this.value = value;
    if (this.timer) return;
    const wait = this.last + this.ms - performance.now();
    if (wait <= 0) this.flush();
    else this.timer = setTimeout(() => this.flush(), wait);
  }
  flush() { this.timer = 0; this.last = performance.now(); this.send(this.value); }
}
