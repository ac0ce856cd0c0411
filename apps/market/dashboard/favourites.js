// The favourites of this browser. Until somebody chooses here, they are those of the server.

import { get } from './net.js';

const KEY = 'oi_favorites';
let chosen = read();
/** Whether this browser has its own. */
let isOwn = chosen !== null;

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(kept) ? new Set(kept.filter((name) => typeof name === 'string')) : null;
  } catch {
    // Storage may be forbidden, or hold what somebody else wrote.
    return null;
  }
}

/** When the server's list is there, where there is no own one. */
export const ready = isOwn ? Promise.resolve() : get('/api/v1/stocks/favorites/list').then(({ favorites }) => {
  if (!isOwn) chosen = new Set(favorites);
}, () => null);

export const isFavourite = (name) => chosen?.has(name) ?? false;
export const favourites = () => [...(chosen ?? [])];

export function toggle(name) {
  chosen ??= new Set();
  isOwn = true;
  if (!chosen.delete(name)) chosen.add(name);
  try {
    localStorage.setItem(KEY, JSON.stringify(favourites()));
  } catch {
    // Then they last as long as the page.
  }
}
