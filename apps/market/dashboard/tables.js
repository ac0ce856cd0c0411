// Tables of rows: headings, cells, tones, and no redrawing of what is the same.

import { el, place } from './dom.js';
import { signed, toneOf } from './words.js';

/** `heads`: titles, or nodes. A title that begins with `#` is of numbers, which stand at the right. */
export function table(label, heads) {
  const isOfNumbers = heads.map((head) => typeof head === 'string' && head.startsWith('#'));
  const body = el('tbody');
  const node = el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': label },
    el('table', {}, el('caption', { class: 'unseen' }, label),
      el('thead', {}, el('tr', {}, heads.map((head, at) => el('th', { scope: 'col', class: isOfNumbers[at] ? 'number' : null }, isOfNumbers[at] ? head.slice(1) : head)))), body));
  let drawn = '';
  return {
    node,
    /** `rows` as the server told them; `cells(row)` is called only if they are others than before. */
    draw(rows, cells, tone = () => null) {
      const whole = JSON.stringify(rows);
      if (whole === drawn) return;
      drawn = whole;
      place(body, ...rows.map((row) => el('tr', { 'data-tone': tone(row) },
        cells(row).map((cell, at) => el('td', { class: isOfNumbers[at] ? 'number' : null }, cell ?? '')))));
    },
  };
}

/** A difference with its sign and its colour: how it is written, and the number that it is. */
export function difference(words, value) {
  return value === null || value === undefined ? words : el('span', { class: 'difference', 'data-tone': toneOf(value) }, signed(words, value));
}
