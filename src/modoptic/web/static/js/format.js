/** How values are written on cameras. */

/** @param {number|null|undefined} metres null is infinity */
export function distance(metres) {
  if (metres === undefined) return "–";
  if (metres === null || metres > 999) return "∞";
  if (metres < 1) return `${Math.round(metres * 100)} cm`;
  return `${metres < 10 ? metres.toFixed(2) : metres.toFixed(1)} m`;
}

/** @param {number|null} seconds */
export function shutter(seconds) {
  if (seconds === null) return "–";
  if (seconds >= 0.3) return `${Number(seconds.toFixed(1))}″`;
  return `1/${nominal(1 / seconds)}`;
}

/** The nearest speed as engraved: thirds of stops. @param {number} speed */
function nominal(speed) {
  const dial = [3, 4, 5, 6, 8, 10, 13, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640,
    800, 1000, 1250, 1600, 2000, 2500, 3200, 4000, 5000, 6400, 8000, 10000, 12800, 16000];
  return dial.reduce((best, x) => (Math.abs(Math.log(x / speed)) < Math.abs(Math.log(best / speed)) ? x : best));
}

/** @param {number} n */
export const fNumber = (n) => `f/${n < 9.95 ? n.toFixed(1) : Math.round(n)}`;

/** @param {number} value */
export function iso(value) {
  if (value >= 1000) return String(Math.round(value / 100) * 100);
  return String(Math.round(value / 10) * 10);
}

/** @param {number} stops */
export const ev = (stops) => (Math.abs(stops) < 0.05 ? "0.0" : `${stops > 0 ? "+" : "−"}${Math.abs(stops).toFixed(1)}`);

/** @param {number} k */
export const kelvin = (k) => `${Math.round(k / 50) * 50} K`;

/** @param {number} mp */
export const megapixels = (mp) => `${Number(mp.toFixed(1))} MP`;

/** @param {number} bytes */
export const bytes = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e3)} kB`);

/** @param {number} ms */
export const age = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
