/**
 * Scales engraved on rings. A scale maps a value to the angle of the ring in radians and back.
 *
 * @typedef {{at: number, text: string, major: boolean}} Mark
 * @typedef {{name: string, marks: Mark[], low: number, high: number, detents: number[]|null, step: number, fine: number,
 *   toAngle: (value: any) => number, toValue: (angle: number) => any, words: (value: any) => string}} Scale
 */
import * as format from "./format.js";

/** Radians between third stops. */
const STOP = 0.14;


/**
 * Focus: between dioptres and logarithm, as cam-driven rings are cut, so that 0.5 m and 4 m both have room.
 * The value is metres, 0 for infinity. @param {number} nearest metres @returns {Scale}
 */
export function focusScale(nearest) {
  const turn = 1.5;
  const bend = 4;
  const full = Math.log(1 + bend / nearest);
  const toAngle = (/** @type {number|null} */ m) => turn * (full - Math.log(1 + bend / (m || Infinity)));
  const toValue = (/** @type {number} */ angle) => {
    const near = Math.exp(full - angle / turn) - 1;
    return near < bend / 400 ? 0 : Math.max(nearest, bend / near);
  };
  const engraved = [0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.85, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 20];
  const marks = engraved.filter((m) => m >= nearest * 0.999).map((m) => ({ at: toAngle(m), text: String(m), major: true }));
  for (let i = marks.length - 1; i > 0; i--) {
    marks.push({ at: (marks[i].at + marks[i - 1].at) / 2, text: "", major: false });
  }
  marks.push({ at: toAngle(0), text: "∞", major: true });
  return {
    name: "focus", marks, low: 0, high: toAngle(0), detents: null, step: 0.05, fine: 0.008, toAngle, toValue,
    words: (m) => format.distance(m || null),
  };
}

/** A ring of stops. @param {string} name @param {{value: number, text: string, major: boolean}[]} stops
 *  @param {number} spacing radians between neighbours @param {(value: number) => string} words @returns {Scale} */
function stopScale(name, stops, spacing, words, logarithmic = true) {
  const place = (/** @type {number} */ v) => (logarithmic ? Math.log(v) : v);
  const toAngle = (/** @type {number} */ value) => {
    const p = place(value);
    let i = stops.findIndex((stop) => place(stop.value) >= p);
    if (i === 0) return 0;
    if (i < 0) i = stops.length - 1;
    const a = place(stops[i - 1].value);
    const b = place(stops[i].value);
    return spacing * (i - 1 + Math.min(1, (p - a) / (b - a)));
  };
  return {
    name, low: 0, high: spacing * (stops.length - 1), step: spacing, fine: spacing,
    marks: stops.map((stop, i) => ({ at: i * spacing, text: stop.major ? stop.text : "", major: stop.major })),
    detents: stops.map((_, i) => i * spacing),
    toAngle: (value) => (stops.length < 2 ? 0 : toAngle(value)),
    toValue: (angle) => stops[Math.min(stops.length - 1, Math.max(0, Math.round(angle / spacing)))].value,
    words,
  };
}

const within = (/** @type {number[]} */ list, /** @type {number} */ low, /** @type {number} */ high) =>
  list.filter((v) => v >= low * 0.98 && v <= high * 1.02).map((v) => Math.min(high, Math.max(low, v)));

/** @param {number} low @param {number} high */
export function irisScale(low, high) {
  const thirds = [1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11, 13, 14, 16, 18, 20, 22];
  const whole = new Set([1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22]);
  let values = within(thirds, low, high);
  if (high - low < 0.01 || !values.length) values = [low];
  return stopScale("iris", values.map((value) => ({
    value, text: String(Number(value.toFixed(1))), major: whole.has(value) || values.length === 1,
  })), STOP, format.fNumber);
}

/** @param {number} low @param {number} high seconds */
export function shutterScale(low, high) {
  const stops = [];
  for (let third = 0; ; third++) {
    const value = 2 ** (-third / 3) * 2 ** Math.floor(Math.log2(high) + 1e-6);
    if (value < low * 0.98) break;
    stops.push({ value, text: format.shutter(value), major: third % 3 === 0 });
  }
  return { ...descending(stops, "shutter", format.shutter) };
}

/** Long exposures first. @param {{value: number, text: string, major: boolean}[]} stops @param {string} name @param {(v: number) => string} words */
function descending(stops, name, words) {
  const inverse = stopScale(name, stops.map((s) => ({ ...s, value: 1 / s.value })), STOP, words);
  return { ...inverse, toAngle: (/** @type {number} */ v) => inverse.toAngle(1 / v), toValue: (/** @type {number} */ a) => 1 / inverse.toValue(a) };
}

/** @param {number} low @param {number} high */
export function isoScale(low, high) {
  const stops = [];
  for (let third = 0; low * 2 ** (third / 3) <= high * 1.02; third++) {
    const value = low * 2 ** (third / 3);
    stops.push({ value, text: format.iso(value), major: third % 3 === 0 });
  }
  return stopScale("ISO", stops, STOP, (v) => `ISO ${format.iso(v)}`);
}

export function evScale() {
  const stops = [];
  for (let third = -9; third <= 9; third++) stops.push({ value: third / 3, text: third ? format.ev(third / 3).replace(".0", "") : "0", major: third % 3 === 0 });
  return stopScale("EV", stops, STOP, (v) => `${format.ev(v)} EV`, false);
}

export function whiteScale() {
  const stops = [];
  for (let kelvin = 2000; kelvin <= 10000; kelvin += kelvin < 6000 ? 100 : 250) {
    stops.push({ value: kelvin, text: String(kelvin), major: kelvin % (kelvin < 6000 ? 500 : 1000) === 0 });
  }
  return stopScale("white balance", stops, 0.1, format.kelvin, false);
}

