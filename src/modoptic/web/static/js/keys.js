/** Keys of the desktop: arrows focus, brackets iris, space shoots, letters switch aids. */

/**
 * @param {{focus: import("./ring.js").Ring, dial: import("./ring.js").Ring, aids: import("./aids.js").Aids,
 *   shoot: () => void, dock: import("./dock.js").Dock, gallery: import("./gallery.js").Gallery, settings: import("./settings.js").Settings}} camera
 */
export function listen(camera) {
  const { focus, dial, aids, shoot, dock, gallery, settings } = camera;
  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const live = {
    ArrowRight: (e) => focus.step(1, e.shiftKey), ArrowUp: (e) => focus.step(1, e.shiftKey),
    ArrowLeft: (e) => focus.step(-1, e.shiftKey), ArrowDown: (e) => focus.step(-1, e.shiftKey),
    "[": () => dial.step(-1, false), "]": () => dial.step(1, false),
    " ": (e) => { if (!e.repeat) shoot(); },
    f: () => aids.toggle("peaking"), m: () => aids.toggle("magnifier"), h: () => aids.toggle("histogram"),
    z: () => aids.toggle("zebra"), g: () => aids.toggle("grid"), d: () => dock.show(true),
  };
  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const photo = {
    Escape: () => gallery.photo.close(), ArrowLeft: () => gallery.photo.go(-1), ArrowRight: () => gallery.photo.go(1),
    Delete: () => gallery.photo.remove(), i: () => gallery.photo.toggleAbout(), z: () => gallery.photo.toggleZoom(),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const pressesButton = (key === " " || key === "Enter") && target.closest("button, a");
    if (pressesButton && target.id !== "shutter" && !target.closest(".camera")) return;
    let actions = live;
    if (gallery.photo.isOpen) actions = photo;
    else if (gallery.isOpen) actions = { Escape: () => gallery.show(false) };
    else if (dock.isOpen) actions = { Escape: () => dock.show(false), d: () => dock.show(false) };
    else if (settings.isOpen) actions = { Escape: () => settings.show(false) };
    const action = actions[key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  // the space bar is the shutter wherever the focus lies; Enter presses buttons
  addEventListener("keyup", (event) => {
    if (event.key === " " && /** @type {HTMLElement} */ (event.target).closest(".camera")) event.preventDefault();
  });
}
