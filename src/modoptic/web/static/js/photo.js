/** One photo: fit, pinch, 100 %; tiles of the real picture are fetched as they come into view. */
import { $, cover, icons, iconButton, make } from "./page.js";
import { address, version } from "./gallery.js";
import { say } from "./notices.js";
import * as format from "./format.js";

const KEPT_TILES = 120;
const AT_ONCE = 4;

export class Photo {
  /** @param {{remove: (name: string) => void, neighbour: (name: string, by: number) => string|undefined}} gallery */
  constructor(gallery) {
    this.gallery = gallery;
    this.sheet = $("photo");
    this.name = "";
    /** @type {any} */ this.info = null;
    this.scale = 1;
    this.width = this.height = 1; // of the picture that is shown: of a DNG alone its preview
    this.centre = [0, 0];
    /** @type {Map<string, ImageBitmap|null>} null while it is fetched */
    this.tiles = new Map();
    this.loading = 0;
    /** @type {Map<number, PointerEvent>} */
    this.fingers = new Map();
    this.build();
  }

  build() {
    this.canvas = make("canvas", { role: "img", tabindex: "0" });
    this.title = make("h2");
    this.percent = make("output", { "aria-label": "Zoom" });
    this.zoomButton = make("button", { onclick: () => this.toggleZoom() }, "100 %");
    this.jpg = make("a", { "aria-label": "Download JPEG" }, "JPEG");
    this.dng = make("a", { "aria-label": "Download DNG" }, "DNG");
    this.about = make("dl", { class: "about", role: "group", "aria-label": "About this photo", hidden: true });
    this.aboutButton = make("button", { "aria-expanded": "false", onclick: () => this.toggleAbout() }, "About");
    this.sheet.append(this.canvas,
      make("div", { class: "bar head" }, iconButton(icons.back, "Close photo", () => this.close()), this.title, this.percent, this.zoomButton),
      this.about,
      make("div", { class: "bar foot" }, this.aboutButton, make("span", {}, this.jpg, this.dng),
        make("button", { class: "danger", "aria-label": "Delete photo", onclick: () => this.remove() }, "Delete")));
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => this.down(e));
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ e) => this.moved(e));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (/** @type {PointerEvent} */ e) => this.up(e));
    canvas.addEventListener("wheel", (/** @type {WheelEvent} */ e) => { e.preventDefault(); this.zoom(this.scale * Math.exp(-e.deltaY / 300), e.clientX, e.clientY); }, { passive: false });
    canvas.addEventListener("dblclick", (/** @type {MouseEvent} */ e) => this.toggleZoom(e.clientX, e.clientY));
    new ResizeObserver(() => this.info && (this.fitted ? this.fit() : this.draw())).observe(canvas);
  }

  get isOpen() { return !this.sheet.hidden; }

  /** @param {string} name */
  async open(name) {
    try {
      const response = await fetch(address(name));
      const info = await response.json();
      if (!response.ok) throw new Error(info.problem);
      this.info = info;
      this.width = info.picture_width;
      this.height = info.picture_height;
    } catch (error) {
      say(`${name} cannot be opened: ${/** @type {Error} */ (error).message}`, "error");
      return;
    }
    this.name = name;
    for (const tile of this.tiles.values()) tile?.close();
    this.tiles.clear();
    this.small = new Image();
    this.small.onload = () => this.draw();
    this.small.src = `${address(name)}/thumb?size=512&v=${version(this.info)}`;
    this.title.textContent = name;
    this.canvas.setAttribute("aria-label", `Photo ${name}`);
    this.jpg.href = `/photos/${name}.jpg?download`;
    this.dng.href = `/photos/${name}.dng?download`;
    this.jpg.hidden = !this.file("jpg");
    this.dng.hidden = !this.file("dng");
    this.write();
    this.sheet.hidden = false;
    cover();
    this.canvas.focus({ focusVisible: false });
    this.fit();
  }

  close() {
    this.sheet.hidden = true;
    cover();
    this.about.hidden = true;
    this.aboutButton.setAttribute("aria-expanded", "false");
  }

  /** @param {string} kind @returns {{kind: string, bytes: number}|undefined} */
  file(kind) { return this.info.files.find((/** @type {any} */ f) => f.kind === kind); }

  /** @param {number} by */
  go(by) { const next = this.gallery.neighbour(this.name, by); if (next) this.open(next); }

  remove() { const name = this.name; this.close(); this.gallery.remove(name); }

  toggleAbout() {
    this.about.hidden = !this.about.hidden;
    this.aboutButton.setAttribute("aria-expanded", String(!this.about.hidden));
  }

  write() {
    const i = this.info;
    const taken = i.taken ? new Date(i.taken).toLocaleString() : undefined;
    const facts = {
      Taken: taken, Camera: i.camera || undefined, Lens: i.lens || undefined,
      Size: i.width ? `${i.width} × ${i.height} · ${((i.width * i.height) / 1e6).toFixed(1)} MP` : undefined,
      Iris: i.f_number ? format.fNumber(i.f_number) : undefined, Shutter: i.exposure_s ? format.shutter(i.exposure_s) : undefined,
      ISO: i.iso ? format.iso(i.iso) : undefined, Focus: "focus_distance_m" in i ? format.distance(i.focus_distance_m) : undefined,
      "Focal length": i.focal_length_mm ? `${i.focal_length_mm} mm${i.focal_length_35mm ? ` (${i.focal_length_35mm} mm)` : ""}` : undefined,
      ...Object.fromEntries(i.files.map((/** @type {any} */ f) => [f.kind === "jpg" ? "JPEG" : "DNG", format.bytes(f.bytes)])),
    };
    this.about.replaceChildren(...Object.entries(facts).filter(([, v]) => v !== undefined).flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, String(v))]));
  }

  get dpr() { return devicePixelRatio || 1; }
  get fitScale() { return Math.min(this.canvas.clientWidth / this.width, this.canvas.clientHeight / this.height); }
  get fitted() { return Math.abs(this.scale / this.fitScale - 1) < 0.001; }

  fit() {
    this.scale = this.fitScale;
    this.centre = [this.width / 2, this.height / 2];
    this.draw();
  }

  /** 100 % is one pixel of the photo on one of the display. @param {number} [x] @param {number} [y] */
  toggleZoom(x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    if (this.scale > this.fitScale * 1.02) this.fit();
    else this.zoom(1 / this.dpr, x, y);
  }

  /** @param {number} scale @param {number} x @param {number} y what lies under this point stays there */
  zoom(scale, x, y) {
    const next = Math.max(this.fitScale, Math.min(8 / this.dpr, scale));
    const dx = x - this.canvas.clientWidth / 2;
    const dy = y - this.canvas.clientHeight / 2;
    this.centre = [this.centre[0] + dx / this.scale - dx / next, this.centre[1] + dy / this.scale - dy / next];
    this.scale = next;
    this.draw();
  }

  /** @param {PointerEvent} e */
  down(e) { this.canvas.setPointerCapture(e.pointerId); this.fingers.set(e.pointerId, e); this.pressed = this.fingers.size === 1 ? { x: e.clientX, y: e.clientY, at: performance.now() } : null; }

  /** @param {PointerEvent} e */
  moved(e) {
    const before = this.fingers.get(e.pointerId);
    if (!before) return;
    const others = [...this.fingers.values()].filter((f) => f.pointerId !== e.pointerId);
    this.fingers.set(e.pointerId, e);
    if (others.length === 1) {
      const [o] = others;
      const spread = (/** @type {PointerEvent} */ a) => Math.hypot(a.clientX - o.clientX, a.clientY - o.clientY);
      this.zoom((this.scale * spread(e)) / Math.max(1, spread(before)), (e.clientX + o.clientX) / 2, (e.clientY + o.clientY) / 2);
    }
    const share = others.length ? 0.5 : 1;
    this.centre = [this.centre[0] - (share * (e.clientX - before.clientX)) / this.scale, this.centre[1] - (share * (e.clientY - before.clientY)) / this.scale];
    this.draw();
  }

  /** @param {PointerEvent} e */
  up(e) {
    this.fingers.delete(e.pointerId);
    const from = this.pressed;
    this.pressed = null;
    if (!from || e.type === "pointercancel") return;
    const dx = e.clientX - from.x;
    if (this.fitted && Math.abs(dx) > 60 && performance.now() - from.at < 600) this.go(dx < 0 ? 1 : -1);
    else if (this.fitted && e.clientY - from.y > 110) this.close();
  }

  draw() {
    const { canvas, info } = this;
    if (!info || !this.isOpen) return;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const dpr = this.dpr;
    if (canvas.width !== Math.round(w * dpr) || canvas.height !== Math.round(h * dpr)) { canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr); }
    const clamp = (/** @type {number} */ c, /** @type {number} */ size, /** @type {number} */ view) => {
      const half = view / 2 / this.scale;
      return half * 2 >= size ? size / 2 : Math.max(half, Math.min(size - half, c));
    };
    this.centre = [clamp(this.centre[0], this.width, w), clamp(this.centre[1], this.height, h)];
    const left = w / 2 - this.centre[0] * this.scale;
    const top = h / 2 - this.centre[1] * this.scale;
    const context = canvas.getContext("2d");
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, w, h);
    context.imageSmoothingEnabled = this.scale * dpr < 1.5;
    if (this.small?.complete && this.small.naturalWidth) context.drawImage(this.small, left, top, this.width * this.scale, this.height * this.scale);
    this.drawTiles(context, left, top, w, h);
    const percent = Math.round(this.scale * dpr * 100);
    this.percent.textContent = `${percent} %`;
    this.zoomButton.textContent = this.scale > this.fitScale * 1.02 ? "Fit" : "100 %";
    canvas.dataset.zoom = String(percent);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} left @param {number} top @param {number} w @param {number} h */
  drawTiles(context, left, top, w, h) {
    const { info } = this;
    const size = info.tile_size;
    const level = Math.max(0, Math.min(info.levels - 1, Math.floor(-Math.log2(this.scale * this.dpr) + 0.01)));
    const wanted = [];
    const ends = (/** @type {number} */ s) => [
      Math.max(0, Math.floor(-left / this.scale / s)), Math.min(this.width, (w - left) / this.scale) / s,
      Math.max(0, Math.floor(-top / this.scale / s)), Math.min(this.height, (h - top) / this.scale) / s];
    // what is there of coarser levels, until the finer tiles come
    for (let coarse = info.levels - 1; coarse >= level; coarse--) {
      const s = size * 2 ** coarse;
      const [x0, x1, y0, y1] = ends(s);
      for (let y = y0; y < y1; y++) {
        for (let x = x0; x < x1; x++) {
          const key = `${coarse}/${x}/${y}`;
          const tile = this.tiles.get(key);
          if (tile) {
            this.tiles.delete(key); this.tiles.set(key, tile); // newest last
            const tw = Math.min(s, this.width - x * s) * this.scale;
            const th = Math.min(s, this.height - y * s) * this.scale;
            context.drawImage(tile, left + x * s * this.scale, top + y * s * this.scale, tw, th);
          } else if (tile === undefined && coarse === level) wanted.push(key);
        }
      }
    }
    this.wanted = wanted;
    this.canvas.dataset.missing = String(wanted.length + this.loading);
    while (this.loading < AT_ONCE && this.wanted.length) this.fetchTile(/** @type {string} */ (this.wanted.shift()));
    if (!wanted.length && !this.loading && this.fitted && level > 0) this.prepare();
  }

  /** The photo is whole on the display: have its middle ready at 100 %, where most look first. */
  prepare() {
    const middle = (/** @type {number} */ length) => Math.floor(length / 2 / this.info.tile_size);
    const key = `0/${middle(this.width)}/${middle(this.height)}`;
    if (!this.tiles.has(key)) this.fetchTile(key);
  }

  /** @param {string} key */
  async fetchTile(key) {
    const name = this.name;
    this.loading++;
    this.tiles.set(key, null);
    try {
      const response = await fetch(`${address(name)}/tile/${key}?v=${version(this.info)}`);
      const bitmap = response.ok ? await createImageBitmap(await response.blob()) : undefined;
      if (!bitmap || name !== this.name) { if (name === this.name) this.tiles.delete(key); return; }
      this.tiles.set(key, bitmap);
      for (const [old, tile] of this.tiles) {
        if (this.tiles.size <= KEPT_TILES) break;
        if (tile) { tile.close(); this.tiles.delete(old); }
      }
    } catch {
      this.tiles.delete(key);
      return;
    } finally {
      this.loading--;
    }
    this.draw();
  }
}
