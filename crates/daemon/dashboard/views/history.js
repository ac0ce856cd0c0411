// What happened: the lines of the history, newest first, by service, kind, time and words. New ones come by themselves.

import { el, place, soon, text } from '../dom.js';
import { entryRow, entryTable } from '../entries.js';
import { get, path } from '../net.js';
import { known } from '../store.js';
import { entryWords } from '../words.js';

const HOUR = 3_600_000;
const SPANS = [['', 'as far as kept'], [HOUR, 'last hour'], [24 * HOUR, 'last day'], [7 * 24 * HOUR, 'last week']];
/** So many are shown at first, and more when asked. */
const STEP = 200;
const MOST = 5000;

export function history(name) {
  const service = el('input', { type: 'text', list: 'names', value: name ?? '', placeholder: 'all services', 'aria-label': 'Service', on: { change: ask } });
  const names = el('datalist', { id: 'names' });
  const what = el('select', { 'aria-label': 'Kind', on: { change: draw } }, el('option', { value: '' }, 'all kinds'));
  const span = el('select', { 'aria-label': 'Time', on: { change: ask } }, SPANS.map(([ms, words]) => el('option', { value: ms }, words)));
  const words = el('input', { type: 'search', placeholder: 'Search (/)', 'aria-label': 'Search the history', on: { input: draw } });
  const count = el('span', { class: 'quiet', role: 'status' });
  const table = entryTable('History', true);
  const more = el('button', { type: 'button', hidden: true, on: {
    click: () => {
      limit += STEP;
      draw();
    },
  } }, 'Show more');
  const node = el('section', {}, el('h1', {}, 'History'),
    el('div', { class: 'bar' }, words, service, names, what, span, count), el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Lines of the history' }, table.node), more);

  let limit = STEP;
  /** What was asked for beyond the lines that are always here. */
  let asked = null;
  let isOver = false;

  const isMeant = (entry) => {
    const base = entry.service.split('@')[0];
    if (service.value && entry.service !== service.value && base !== service.value) return false;
    if (span.value && Date.parse(entry.at) < Date.now() - Number(span.value)) return false;
    return true;
  };

  async function ask() {
    const query = new URLSearchParams({ limit: MOST });
    if (service.value) query.set('service', service.value);
    if (span.value) query.set('since', new Date(Date.now() - Number(span.value)).toISOString());
    limit = STEP;
    try {
      asked = (await get(`/api/v1/history?${query}`)).entries;
    } catch (error) {
      asked = [];
      text(count, error.message);
      table.body.replaceChildren();
      return;
    }
    if (!isOver) draw();
  }

  function draw() {
    const lines = asked ?? known.entries;
    const kinds = [...new Set(lines.map((entry) => entry.what))].sort();
    if (kinds.join() !== [...what.options].slice(1).map((option) => option.value).join()) {
      const before = what.value;
      what.replaceChildren(el('option', { value: '' }, 'all kinds'), ...kinds.map((kind) => el('option', { value: kind }, kind)));
      what.value = kinds.includes(before) ? before : '';
    }
    const sought = words.value.toLowerCase();
    const found = lines.filter((entry) => isMeant(entry) && (!what.value || entry.what === what.value)
      && (!sought || `${entry.service} ${entry.what} ${entryWords(entry)}`.toLowerCase().includes(sought)));
    text(count, `${found.length} lines`);
    place(table.body, ...found.slice(-limit).reverse().map((entry) => entryRow(entry, true)));
    more.hidden = found.length <= limit;
    names.replaceChildren(...[...known.services.keys()].map((one) => el('option', { value: one })));
  }

  // The newest lines come by events; what was asked for is completed by them.
  const drawSoon = soon(250, () => {
    const newest = asked?.at(-1)?.id ?? 0;
    if (asked) asked = [...asked, ...known.entries.filter((entry) => entry.id > newest && isMeant(entry))];
    draw();
  });
  ask();

  return {
    node,
    update(kinds) {
      if (kinds.has('entries')) drawSoon();
    },
    end() {
      isOver = true;
      drawSoon.cancel();
    },
  };
}

export const historyLink = (name) => `#/history/${path(name)}`;
