/** The dock sheet: the phone's back, and the module that is dragged onto it and off. */
import { $, calm, icons, iconButton, make, tick, write } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const SEAT = [173, 232];
const SHELF = [173, 404];
const REACH = 92;
const SPRING_MS = 180;
const MARKS = ["Seated", "Power", "Light", "Known", "Ready"];
const STEPS = { SEATING: 1, ATTACHED: 2, ACTIVATED: 3, ENUMERATED: 4, WAITING_CONSENT: 4, READY: 5 };
const WORDS = {
  DETACHED: "Nothing attached", SEATING: "Seating", ATTACHED: "Power is on", ACTIVATED: "Light is on", ENUMERATED: "Getting to know it",
  WAITING_CONSENT: "May this module be used?", READY: "Ready", OFF: "Switched off", REFUSED: "Refused", FAULT: "Something is wrong",
};

export class Dock {
  /** @param {(request: object) => void} send */
  constructor(send) {
    this.send = send;
    this.sheet = $("dock");
    /** @type {any} */ this.hands = null;
    /** @type {any} */ this.state = null;
    this.at = [...SHELF];
    this.frame = 0;
    this.shown = "";
    this.build();
    $("dock-button").addEventListener("click", () => this.show(true));
    $("invite-button").addEventListener("click", () => this.show(true));
  }

  build() {
    this.stage = make("div", { class: "stage" });
    this.stage.innerHTML = `
<svg class="back" viewBox="0 0 346 470" role="group" aria-label="Back of the phone">
 <g id="shell"><rect class="shell" x="74" y="8" width="198" height="424" rx="36"/><rect class="bump" x="90" y="24" width="80" height="80" rx="22"/>
 <circle class="eye" cx="114" cy="48" r="14"/><circle class="eye" cx="146" cy="80" r="14"/><circle class="eye" cx="146" cy="48" r="5"/>
 <circle class="magnets" cx="173" cy="232" r="80"/><rect class="pad" x="160" y="322" width="9" height="9" rx="2"/><rect class="pad" x="177" y="322" width="9" height="9" rx="2"/><circle class="light" cx="173" cy="343" r="4"/></g>
 <g class="module" id="module" tabindex="0" role="button" aria-label="Module"><circle r="71" fill="#141413" stroke="#5a5750" stroke-width="2"/><circle r="60" stroke="#2e2d2a" stroke-width="11" stroke-dasharray="3 2.6" stroke-linecap="butt"/>
 <circle r="51" fill="#0e0e0d" stroke="#3b3936"/><circle r="40" fill="#0b1114" stroke="#2a2927" stroke-width="1.5"/><g stroke="none"><circle r="32" fill="#0f1b22"/><circle r="23" fill="#16303b"/><circle r="14" fill="#0b171d"/><circle r="6" fill="#04080a"/></g>
 <path d="M-26-14q11-17 30-15" stroke="#ffffff66" stroke-width="3.5"/><circle cx="13" cy="15" r="3" fill="#ffffff30" stroke="none"/><path d="M0-71v8" stroke="#ffb43a" stroke-width="3"/>
 <path id="engraved" d="M-46 0a46 46 0 0 0 92 0" stroke="none"/><text font-size="9.5" letter-spacing="1.4" fill="#c9c5bb" stroke="none" text-anchor="middle"><textPath href="#engraved" startOffset="50%" id="module-name"></textPath></text></g>
</svg>`;
    this.module = this.stage.querySelector("#module");
    this.shell = this.stage.querySelector("#shell");
    this.marks = make("ol", { class: "marks", "aria-label": "From seated to ready" }, ...MARKS.map((name) => make("li", {}, name)));
    this.line = make("p", { class: "line", role: "status", "aria-label": "Dock state" });
    this.dot = make("i", { class: "dot" });
    this.text = make("span");
    this.line.append(this.dot, this.text);
    this.action = make("button", { class: "action", onclick: () => this.toggle() });
    this.slow = make("button", { class: "switch", role: "switch", "aria-label": "Slow light", "aria-checked": "false",
      onclick: () => this.send({ type: "hands", hands: "set_line", bits_per_s: this.hands?.line ? null : 200e6 }) });
    this.scenes = make("div", { class: "choices", role: "radiogroup", "aria-label": "Scene" });
    this.scenesLabel = make("span", {}, "Scene");
    this.rest = make("div", { class: "rest" },
      make("div", { class: "row" }, make("span", {}, "Slow light", make("small", {}, "a bad line of 0.2 Gbit/s: large photos take seconds")), this.slow),
      make("div", { class: "row wide" }, this.scenesLabel, this.scenes));
    this.hint = make("p");
    this.sheet.append(
      make("header", {}, make("div", {}, make("h2", {}, "Snap on"), this.hint), iconButton(icons.close, "Close dock", () => this.show(false), "close")),
      this.stage, this.marks, make("div", { class: "status" }, this.line, this.action), this.rest);
    this.module.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => this.drag(e));
    this.module.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => {
      if (e.key === "Enter" || e.key === " ") { e.preventDefault(); e.stopPropagation(); this.toggle(); }
    });
    this.move(SHELF);
  }

  /** @param {boolean} open */
  show(open) {
    this.sheet.hidden = !open;
    if (open) this.sheet.querySelector(".close").focus({ focusVisible: false });
    else $("dock-button").focus({ focusVisible: false });
  }

  get isOpen() { return !this.sheet.hidden; }

  /** @param {readonly number[]} at */
  move(at) {
    this.at = [...at];
    this.module.setAttribute("transform", `translate(${at[0]} ${at[1]}) scale(${at[1] > 330 ? 0.8 : 1})`);
  }

  /** A short spring to a place. @param {readonly number[]} to */
  spring(to) {
    cancelAnimationFrame(this.frame);
    if (calm()) { this.move(to); return; }
    const from = [...this.at];
    const start = performance.now();
    const run = (/** @type {number} */ now) => {
      const t = Math.min(1, Math.max(0, (now - start) / SPRING_MS));
      const s = 1 + 1.9 * (t - 1) ** 3 + 0.9 * (t - 1) ** 2; // ends with a small overshoot
      this.move([from[0] + (to[0] - from[0]) * s, from[1] + (to[1] - from[1]) * s]);
      if (t < 1) this.frame = requestAnimationFrame(run);
      else if (to === SEAT) { tick(18); this.wobble(); }
    };
    this.frame = requestAnimationFrame(run);
  }

  wobble() {
    this.module.classList.remove("wobble");
    void this.module.getBoundingClientRect();
    this.module.classList.add("wobble");
  }

  get seated() { return this.state ? this.state.dock.state !== "DETACHED" : false; }

  /** The eye of the hand: what the page asked for counts until the dock answers. @param {boolean} seat */
  ask(seat) {
    this.wanted = seat;
    this.wantedAt = performance.now();
    this.spring(seat ? SEAT : SHELF);
    this.send({ type: "hands", hands: seat ? "seat" : "pull" });
  }

  toggle() { if (this.hands) this.ask(!(this.wanted ?? this.seated)); }

  /** @param {PointerEvent} down */
  drag(down) {
    if (!this.hands || down.button !== 0) return;
    down.preventDefault();
    cancelAnimationFrame(this.frame);
    this.module.setPointerCapture(down.pointerId);
    this.dragging = true;
    const matrix = this.stage.querySelector("svg").getScreenCTM().inverse();
    const point = (/** @type {PointerEvent} */ e) => new DOMPoint(e.clientX, e.clientY).matrixTransform(matrix);
    const first = point(down);
    const from = [...this.at];
    const was = this.wanted ?? this.seated;
    let seated = was;
    const move = (/** @type {PointerEvent} */ e) => {
      const now = point(e);
      const at = [from[0] + now.x - first.x, from[1] + now.y - first.y];
      const far = Math.hypot(at[0] - SEAT[0], at[1] - SEAT[1]);
      this.shell.classList.toggle("near", far < REACH * 1.4);
      if (seated && far > REACH) { seated = false; tick(10); this.send({ type: "hands", hands: "pull" }); this.note(false); }
      // while it is held by the ring the module follows the finger only a little
      this.move(seated ? [SEAT[0] + (at[0] - SEAT[0]) * 0.25, SEAT[1] + (at[1] - SEAT[1]) * 0.25] : at);
      if (!seated && !was && far < REACH * 0.62) { seated = true; finish(); this.ask(true); }
      else if (!seated && was && far < REACH * 0.5) { seated = true; finish(); this.ask(true); }
    };
    const finish = () => {
      this.dragging = false;
      this.shell.classList.remove("near");
      for (const kind of ["pointermove", "pointerup", "pointercancel"]) this.module.removeEventListener(kind, kind === "pointermove" ? move : up);
    };
    const up = (/** @type {PointerEvent} */ e) => {
      finish();
      const now = point(e);
      const far = Math.hypot(from[0] + now.x - first.x - SEAT[0], from[1] + now.y - first.y - SEAT[1]);
      if (!seated && far < REACH) this.ask(true);
      else this.spring(seated ? SEAT : SHELF);
    };
    this.module.addEventListener("pointermove", move);
    this.module.addEventListener("pointerup", up);
    this.module.addEventListener("pointercancel", up);
  }

  /** @param {boolean} seat */
  note(seat) { this.wanted = seat; this.wantedAt = performance.now(); }

  /** @param {any} hands what the twin's hands say, or null */
  showHands(hands) {
    this.hands = hands;
    this.refresh();
  }

  /** @param {any} state */
  showState(state) {
    this.state = state;
    if (this.wanted === this.seated || performance.now() - (this.wantedAt ?? 0) > 1500) this.wanted = undefined;
    this.refresh();
  }

  refresh() {
    const { state, hands } = this;
    if (!state) return;
    const dock = state.dock;
    const key = JSON.stringify([dock, hands, this.wanted, this.dragging, state.cameras.length]);
    if (key === this.shown) return;
    this.shown = key;
    const seated = this.wanted ?? this.seated;
    const wasSeated = this.shownSeated;
    this.shownSeated = seated;
    if (!this.dragging && wasSeated !== seated) {
      if (wasSeated === undefined) this.move(seated ? SEAT : SHELF);
      else this.spring(seated ? SEAT : SHELF);
    }
    const steps = STEPS[/** @type {keyof typeof STEPS} */ (dock.state)] ?? 0;
    const bad = dock.state === "FAULT" || dock.state === "REFUSED";
    [...this.marks.children].forEach((mark, i) => { mark.classList.toggle("on", i < steps); mark.classList.toggle("bad", bad && i === 0); });
    this.shell.classList.toggle("seated", this.seated);
    this.shell.classList.toggle("ready", dock.state === "READY");
    this.dot.className = `dot ${dock.state === "READY" ? "ready" : bad ? "fault" : steps ? "busy" : ""}`;
    this.text.replaceChildren(...this.sentence(dock));
    const module = state.cameras.find((/** @type {any} */ c) => !c.built_in);
    const title = hands?.title ?? module?.title ?? "";
    this.module.setAttribute("aria-label", `Module ${title}`.trim());
    this.module.setAttribute("aria-pressed", String(seated));
    this.module.style.visibility = hands || this.seated ? "visible" : "hidden";
    this.stage.querySelector("#module-name").textContent = title.toUpperCase();
    this.hint.textContent = hands ? "Drag it onto the ring. Pull it off at any time." : "Hold it against the ring. Pull it off at any time.";
    this.action.hidden = this.rest.hidden = !hands;
    this.action.textContent = seated ? "Pull off" : "Snap on";
    if (!hands) return;
    this.slow.setAttribute("aria-checked", String(Boolean(hands.line)));
    const scenes = hands.scenes ?? [];
    if (this.scenes.childElementCount !== scenes.length) {
      this.scenes.replaceChildren(...scenes.map((/** @type {string} */ scene) => make("button", { role: "radio", "aria-label": `Scene ${scene}`, "data-scene": scene,
        onclick: () => this.send({ type: "hands", hands: "set_scene", scene }) }, scene)));
    }
    for (const button of this.scenes.children) button.setAttribute("aria-checked", String(button.dataset.scene === (hands.scene_loading || hands.scene)));
    write(this.scenesLabel, hands.scene_loading ? "Scene · being lit" : "Scene");
  }

  /** What the module is and how long it took, in one line. @param {any} dock */
  sentence(dock) {
    if (dock.state !== "READY") return [sentenceCase(dock.why) || WORDS[/** @type {keyof typeof WORDS} */ (dock.state)] || dock.state];
    const parts = [];
    if (dock.power_mw) parts.push(`${(dock.power_mw / 1000).toFixed(1)} W`);
    if (this.hands?.line) parts.push("slow light");
    if (!dock.known) parts.push("new here");
    const tail = parts.length ? ` · ${parts.join(" · ")}` : "";
    return dock.ready_ms ? ["Ready in ", make("b", {}, `${Math.round(dock.ready_ms)} ms`), tail] : [`Ready${tail}`];
  }
}

/** @param {string} words */
const sentenceCase = (words) => words.charAt(0).toUpperCase() + words.slice(1);
