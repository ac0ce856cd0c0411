// Where open interest was built and unwound most, over all stocks.

import { el } from '../dom.js';
import { watch } from '../live.js';
import { difference, table } from '../tables.js';
import { count } from '../words.js';
import { stockLink } from './stocks.js';

const LIMIT = 30;

export function moves() {
  const heads = ['Stock', 'Side', '#Strike', '#Open interest', '#Change'];
  const parts = [['builds', 'Biggest builds'], ['unwinds', 'Biggest unwinds']].map(([key, title]) => ({ key, title, table: table(title, heads) }));
  const trouble = el('p', { class: 'quiet', role: 'status' });
  const node = el('section', {}, el('h1', {}, 'Builds and unwinds'), trouble,
    el('div', { class: 'pair' }, parts.map(({ title, table: { node: place } }) => el('section', { class: 'panel' }, el('h2', {}, title), place))));
  const watching = watch(() => `/api/v1/stocks/biggest?limit=${LIMIT}`, ['snapshot'], (told) => {
    trouble.textContent = told.builds.length + told.unwinds.length ? '' : 'There are no changes of open interest yet.';
    for (const part of parts) {
      part.table.draw(told[part.key], (row) => [stockLink(row.stock), el('span', { class: 'badge', 'data-tone': /^call/i.test(row.side) ? 'bad' : 'good' }, row.side), String(row.strike), count(row.oi), difference(count(row.diff), row.diff)]);
    }
  }, (error) => {
    trouble.textContent = error.message;
  });
  return { node, end: () => watching.end() };
}
