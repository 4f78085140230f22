/** Frame messages: a 48-byte prefix, the header as JSON, then the JPEG. The newest wins. */

const PREFIX = 48;
const KINDS = ["finder", "magnifier"];
const decoder = new TextDecoder();

/**
 * @typedef {{sequence: number, camera: string, frame_id: number, width: number, height: number, kind: string,
 *   exposure_s: number, iso: number, f_number: number, focus_distance_m: number|null,
 *   mid_exposure_ns: number, readout_end_ns: number}} Header
 * @typedef {{kind: string, ticket: number, header: Header, jpeg: Blob, midUs: number, readoutUs: number}} Picture
 */

/** @param {ArrayBuffer} message @returns {Picture} */
export function unpack(message) {
  const view = new DataView(message);
  if (view.getUint32(0, false) !== 0x4d4f4446 || view.getUint8(4) !== 1) throw new Error("not a frame message");
  const headerBytes = view.getUint16(6, true);
  const jpegBytes = view.getUint32(8, true);
  const header = JSON.parse(decoder.decode(new Uint8Array(message, PREFIX, headerBytes)));
  return {
    kind: KINDS[view.getUint8(5)],
    ticket: view.getUint32(12, true),
    header,
    jpeg: new Blob([new Uint8Array(message, PREFIX + headerBytes, jpegBytes)], { type: "image/jpeg" }),
    midUs: header.mid_exposure_ns / 1000,
    readoutUs: Number(view.getBigUint64(24, true)) / 1000,
  };
}

/** Decodes one picture at a time of its kind; what waits is replaced by what is newer. */
export class Decoder {
  /** @param {(bitmap: ImageBitmap, picture: Picture) => void} draw @param {(ticket: number, drawn: number|null) => void} done */
  constructor(draw, done) { this.draw = draw; this.done = done; /** @type {Picture|null} */ this.waiting = null; this.busy = false; }

  /** @param {Picture} picture */
  push(picture) {
    if (this.waiting) this.done(this.waiting.ticket, null);
    this.waiting = picture;
    if (!this.busy) this.run();
  }

  async run() {
    this.busy = true;
    while (this.waiting) {
      const picture = this.waiting;
      this.waiting = null;
      try {
        const bitmap = await createImageBitmap(picture.jpeg);
        this.draw(bitmap, picture);
        this.done(picture.ticket, performance.now());
        bitmap.close();
      } catch {
        this.done(picture.ticket, null);
      }
    }
    this.busy = false;
  }
}
