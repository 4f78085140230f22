/** The camera: puts its parts together. The phone's state is drawn whole; the page keeps nothing of it. */
import { $, Throttle, tick, write } from "./page.js";
import { Aids } from "./aids.js";
import { Connection } from "./connection.js";
import { Dock } from "./dock.js";
import { Exposure } from "./exposure.js";
import { FigurePanel } from "./figures.js";
import { Finder, movable, tapToFocus } from "./finder.js";
import { Gallery } from "./gallery.js";
import { listen } from "./keys.js";
import { say, showNotices } from "./notices.js";
import { Ring } from "./ring.js";
import { Settings } from "./settings.js";
import { focusScale } from "./scales.js";
import * as format from "./format.js";

const LOUPE_RESTS_MS = 800;

const connection = new Connection();
const send = (/** @type {object} */ message) => connection.send(message);
const aids = new Aids();
const finder = new Finder(connection, aids);
const figures = new FigurePanel(finder);
const dock = new Dock(send);
const gallery = new Gallery();
const settings = new Settings(send);
/** @type {any} */
let state = null;
/** @type {any} */
let hands = null;

// the focus ring: the module's own where a hand can reach it, else the lens is driven

const camera = () => state?.cameras.find((/** @type {any} */ c) => c.id === state.active);
const focusThrottle = new Throttle((metres) => {
  if (hands && camera() && !camera().built_in) send({ type: "hands", hands: "turn_ring", focus_distance_m: metres });
  else send({ type: "set", focus_distance_m: metres });
});
let loupeTimer = 0;

/** The magnifier opens as the ring moves and leaves when it rests. @param {boolean} moving */
function ringMoves(moving) {
  clearTimeout(loupeTimer);
  if (moving) {
    aids.ringMoves(true);
    openLoupe();
  } else {
    loupeTimer = setTimeout(() => { aids.ringMoves(false); if (!aids.on.magnifier) closeLoupe(); }, LOUPE_RESTS_MS);
  }
}

let loupeAt = "";
function openLoupe() {
  finder.showLoupe(finder.point);
  if (loupeAt === String(finder.point)) return;
  loupeAt = String(finder.point);
  send({ type: "magnify", at: finder.point });
}
function closeLoupe() {
  finder.showLoupe(null);
  if (!loupeAt) return;
  loupeAt = "";
  send({ type: "magnify", at: null });
}
aids.changed = (/** @type {string} */ name, /** @type {boolean} */ on) => { if (name === "magnifier") (on ? openLoupe : closeLoupe)(); };

const focus = new Ring($("focus-ring"), {
  label: "Focus ring",
  onTurn: (metres) => { focusThrottle.push(metres); $("focus-reading").textContent = format.distance(metres || null); ringMoves(true); },
  onRest: () => ringMoves(false),
  onFine: (fine) => { $("fine").hidden = !fine; },
});
const dialThrottle = new Throttle((value) => exposure.turned(value));
const dial = new Ring($("dial-ring"), { label: "Iris ring", onTurn: (value) => { exposure.write(exposure.open, value); dialThrottle.push(value); } });
const exposure = new Exposure(dial, send);

tapToFocus(finder, (point) => {
  finder.focusAt(point);
  send({ type: "focus_at", at: point });
  if (aids.on.magnifier) openLoupe();
});
movable($("histogram"), "histogram");

// the shutter

function shoot() {
  tick(12);
  $("blink").classList.remove("now");
  void $("blink").offsetWidth;
  $("blink").classList.add("now");
  $("shutter").classList.add("down");
  setTimeout(() => $("shutter").classList.remove("down"), 120);
  send({ type: "shoot" });
}
$("shutter").addEventListener("click", shoot);
$("aids-button").addEventListener("click", () => {
  const open = $("aids").hidden;
  $("aids").hidden = !open;
  $("aids-button").setAttribute("aria-expanded", String(open));
});
listen({ focus, dial, aids, shoot, dock, gallery, settings });

// what the phone says

let engraved = "";
/** @param {any} next */
function show(next) {
  state = next;
  const lens = state.lens;
  if (lens) {
    const key = `${state.active} ${lens.focus_min_m}`;
    const value = lens.focus_distance_m ?? 0;
    if (key !== engraved) { engraved = key; focus.engrave(focusScale(lens.focus_min_m), value); } else focus.follow(value);
    const scale = focus.scale;
    if (scale) focus.dress({ bracket: [scale.toAngle(lens.near_m), scale.toAngle(lens.far_m ?? 0)] });
    if (!focus.held) write($("focus-reading"), format.distance(lens.focus_distance_m));
    write($("depth-reading"), `sharp ${format.distance(lens.near_m)} – ${format.distance(lens.far_m)}`);
  }
  exposure.show(state);
  aids.histogram(state.histogram, state.clipped);
  figures.showState(state);
  dock.showState(state);
  settings.showState(state);
  gallery.showShots(state.shots);
  showNotices(state.notices);
  const active = camera();
  finder.sensorWidth = active?.sensor_width ?? 0;
  $("invite").hidden = !active?.built_in || state.dock.state !== "DETACHED";
  const slowest = active ? 1 / active.focal_length_35mm : 1;
  const shaky = state.exposure_s && state.exposure_s.value > slowest * 1.05;
  $("warning").hidden = !shaky;
  if (shaky) write($("warning"), `${format.shutter(state.exposure_s.value)}${state.exposure_s.value < 0.3 ? " s" : ""} · shake likely`);
}

connection.on("state", (message) => show(message.state));
connection.on("hands", (message) => { hands = message.state; dock.showHands(hands); });
connection.on("problem", (message) => say(message.text, "warning"));
connection.on("role", ({ control }) => {
  document.body.classList.toggle("watching", !control);
  if (!control) say("Another viewer has the controls", "info", { label: "Take control", act: () => send({ type: "take_control" }) });
});
connection.on("open", () => { finder.watch(); gallery.load(); loupeAt = ""; if (aids.on.magnifier) openLoupe(); });
connection.on("lost", () => finder.watch());
