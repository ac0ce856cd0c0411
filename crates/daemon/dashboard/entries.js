// Lines of the history as a table: of one service, or of all.

import { el } from './dom.js';
import { path } from './net.js';
import { AFTER, entryWords, moment } from './words.js';

/** `isOfAll` adds the column of the service. */
export function entryRow(entry, isOfAll) {
  return el('tr', {},
    el('td', {}, el('time', { datetime: entry.at, title: entry.at }, moment(entry.at))),
    isOfAll ? el('td', {}, entry.service ? el('a', { href: `#/service/${path(entry.service)}` }, entry.service) : '') : null,
    el('td', {}, el('span', { class: 'badge', 'data-tone': AFTER[entry.what] ?? 'calm' }, entry.what)),
    el('td', { class: 'words' }, entryWords(entry)));
}

export function entryTable(label, isOfAll) {
  const body = el('tbody');
  const heads = ['When', isOfAll && 'Service', 'What', 'Why and how'].filter(Boolean);
  const node = el('table', { class: 'entries', 'aria-label': label },
    el('thead', {}, el('tr', {}, heads.map((head) => el('th', { scope: 'col' }, head)))), body);
  return { node, body };
}
