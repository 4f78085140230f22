/** What the phone has to say, one line each, gone by itself. */
import { $, make } from "./page.js";

const STAY_MS = { info: 4000, warning: 7000, error: 12000 };
let shownId = -1;

/** @param {string} text @param {"info"|"warning"|"error"} level @param {{label: string, act: () => void}} [action]
 *  @param {string} [name] of the photo it is about: what was said of it before goes */
export function say(text, level = "info", action, name) {
  const box = make("div", { class: `notice ${level === "warning" ? "warning-level" : level}` }, make("p", {}, text));
  const leave = () => box.remove();
  if (action) box.append(make("button", { onclick: () => { leave(); action.act(); } }, action.label));
  else box.addEventListener("click", leave);
  if (name) { $("notices").querySelector(`[data-photo="${CSS.escape(name)}"]`)?.remove(); box.dataset.photo = name; }
  $("notices").append(box);
  while ($("notices").childElementCount > 3) $("notices").firstChild.remove();
  setTimeout(leave, action ? 8000 : STAY_MS[level]);
}

/** A photo is lost: said at once, before the phone has put away what came of it. @param {string} name @param {string} why */
export function sayLost(name, why) {
  say(`${name} was lost: ${why}`, "error", undefined, name);
}

/** Shows those notices of the phone that were not shown yet. @param {{id: number, level: any, text: string, shot?: string}[]} notices */
export function showNotices(notices) {
  const newest = notices.length ? notices[notices.length - 1].id : -1;
  if (newest < shownId) shownId = -1; // another phone, or it was started again
  const first = shownId < 0 ? Math.max(0, notices.length - 1) : 0;
  for (const notice of notices.slice(first)) {
    if (notice.id > shownId) say(notice.text, notice.level, undefined, notice.shot);
  }
  shownId = Math.max(shownId, newest, 0);
}
