/** What the phone has to say, one line each, gone by itself. */
import { $, make } from "./page.js";

const STAY_MS = { info: 4000, warning: 7000, error: 12000 };
let shownId = -1;

/** @param {string} text @param {"info"|"warning"|"error"} level @param {{label: string, act: () => void}} [action] */
export function say(text, level = "info", action) {
  const box = make("div", { class: `notice ${level === "warning" ? "warning-level" : level}` }, make("p", {}, text));
  const leave = () => box.remove();
  if (action) box.append(make("button", { onclick: () => { leave(); action.act(); } }, action.label));
  else box.addEventListener("click", leave);
  $("notices").append(box);
  while ($("notices").childElementCount > 3) $("notices").firstChild.remove();
  setTimeout(leave, action ? 8000 : STAY_MS[level]);
}

/** Shows those notices of the phone that were not shown yet. @param {{id: number, level: any, text: string}[]} notices */
export function showNotices(notices) {
  const newest = notices.length ? notices[notices.length - 1].id : -1;
  if (newest < shownId) shownId = -1; // another phone, or it was started again
  const first = shownId < 0 ? Math.max(0, notices.length - 1) : 0;
  for (const notice of notices.slice(first)) {
    if (notice.id > shownId) say(notice.text, notice.level);
  }
  shownId = Math.max(shownId, newest, 0);
}
