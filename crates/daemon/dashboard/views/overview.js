// All services: a list that stays quick with a thousand of them, filtered by words and by how they are, sorted by any
// column.

import { actionButtons } from '../actions.js';
import { el, place, text } from '../dom.js';
import { path } from '../net.js';
import { sparkline } from '../sparkline.js';
import { known } from '../store.js';
import { virtualList } from '../virtual.js';
import { nextWords, percent, signOf, since, size, TONES, toneOf } from '../words.js';

const last = (service, figure) => known.samples.get(service.name)?.[figure].at(-1) ?? -1;
const nextAt = (service) => Date.parse(service.next ?? service.schedule?.next ?? service.schedule?.until ?? '') || Infinity;
const rank = Object.keys(TONES);

/** Columns: class, title, and what they sort by. */
const COLUMNS = [
  ['state', 'State', (service) => rank.indexOf(toneOf(service.state))],
  ['name', 'Name', (service) => service.name],
  ['port', 'Port', (service) => service.ports[0] ?? Infinity],
  ['pid', 'Process', (service) => service.pid ?? Infinity],
  ['up', 'Up', (service) => (service.pid ? Date.parse(service.since) : Infinity)],
  ['restarts', 'Restarts', (service) => -service.restarts],
  ['cpu', 'CPU', (service) => -last(service, 'cpu')],
  ['memory', 'Memory', (service) => -last(service, 'memory')],
  ['next', 'Next', nextAt],
];

/** Made once: a comparison that makes its own is a hundred times slower. */
const names = new Intl.Collator('en', { numeric: true });

/** What the person chose stays while other views are looked at. */
const chosen = { words: '', tone: '', column: 'name', isBackward: false };

export function overview() {
  const rows = el('div', { class: 'rows', role: 'rowgroup' });
  const search = el('input', { type: 'search', placeholder: 'Filter (/)', 'aria-label': 'Filter services', value: chosen.words, on: {
    input: () => {
      chosen.words = search.value;
      arrange();
    },
  } });
  const tones = el('div', { class: 'tones', role: 'group', 'aria-label': 'Filter by state' });
  const count = el('span', { class: 'quiet', role: 'status' });
  const sort = el('select', { 'aria-label': 'Sort by', on: { change: () => sortBy(sort.value) } },
    COLUMNS.map(([name, title]) => el('option', { value: name }, title)));
  const heads = COLUMNS.map(([name, title]) => el('div', { class: name, role: 'columnheader' },
    el('button', { type: 'button', on: { click: () => sortBy(name) } }, title)));
  const head = el('div', { class: 'row head', role: 'row', 'aria-rowindex': 1 }, heads, el('div', { role: 'columnheader', class: 'do' }, el('span', { class: 'unseen' }, 'Actions')));
  const table = el('div', { class: 'table', role: 'table', 'aria-label': 'Services' }, el('div', { role: 'rowgroup', class: 'heads' }, head), rows);
  const empty = el('p', { class: 'empty', hidden: true });
  const node = el('section', { class: 'overview' },
    el('h1', { class: 'unseen' }, 'Services'),
    el('div', { class: 'bar' }, search, tones, el('label', { class: 'sort' }, 'Sort ', sort), count), table, empty);

  const cells = new WeakMap();
  const list = virtualList({ box: rows, key: (service) => service.name, row });
  let shown = [];

  function sortBy(column) {
    chosen.isBackward = chosen.column === column && !chosen.isBackward;
    chosen.column = column;
    arrange();
  }

  function arrange() {
    const words = chosen.words.toLowerCase().split(/\s+/).filter(Boolean);
    const isMeant = (service) => {
      const all = `${service.name} ${service.state} ${service.kind} ${service.ports.join(' ')}`.toLowerCase();
      return words.every((word) => all.includes(word));
    };
    const meant = [...known.services.values()].filter(isMeant);
    drawTones(meant);
    shown = meant.filter((service) => !chosen.tone || toneOf(service.state) === chosen.tone);
    const by = COLUMNS.find(([name]) => name === chosen.column)[2];
    const sign = chosen.isBackward ? -1 : 1;
    const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    shown.sort((a, b) => sign * order(by(a), by(b)) || names.compare(a.name, b.name));
    COLUMNS.forEach(([name], at) => {
      const direction = chosen.isBackward ? 'descending' : 'ascending';
      heads[at].setAttribute('aria-sort', name === chosen.column ? direction : 'none');
    });
    sort.value = chosen.column;
    table.setAttribute('aria-rowcount', shown.length + 1);
    text(count, shown.length === known.services.size ? `${shown.length}` : `${shown.length} of ${known.services.size}`);
    table.hidden = shown.length === 0;
    empty.hidden = shown.length > 0;
    text(empty, emptyWords());
    list.set(shown);
  }

  function emptyWords() {
    if (known.link === 'connecting') return 'Asking the daemon …';
    return known.services.size ? 'No service is like that.' : 'Nothing is declared. `soloist.toml` says what runs here.';
  }

  function drawTones(services) {
    const counts = Object.groupBy(services, (service) => toneOf(service.state));
    const wanted = rank.filter((tone) => counts[tone] || tone === chosen.tone);
    wanted.forEach((tone, at) => {
      let button = tones.children[at];
      if (button?.dataset.tone !== tone) {
        const press = () => {
          chosen.tone = chosen.tone === tone ? '' : tone;
          arrange();
        };
        button = el('button', { type: 'button', 'data-tone': tone, on: { click: press } });
        tones.insertBefore(button, tones.children[at] ?? null);
      }
      text(button, `${counts[tone]?.length ?? 0} ${TONES[tone]}`);
      button.setAttribute('aria-pressed', tone === chosen.tone);
    });
    while (tones.children.length > wanted.length) tones.lastChild.remove();
  }

  function row(service, old) {
    const node = old ?? makeRow(service);
    const cell = cells.get(node);
    if (cell.drawn !== service) drawRow(cell, service);
    drawTimes(cell, service);
    return node;
  }

  function makeRow(service) {
    const cell = {
      state: el('span', { class: 'word' }), sign: el('span', { 'aria-hidden': 'true' }),
      name: el('a', { href: `#/service/${path(service.name)}` }, service.name),
      note: el('small', {}),
      port: el('div', { class: 'port', role: 'cell' }), pid: el('div', { class: 'pid', role: 'cell' }),
      up: el('div', { class: 'up', role: 'cell' }), restarts: el('div', { class: 'restarts', role: 'cell' }),
      cpu: sparkline(), cpuWords: el('span', {}), memory: sparkline(), memoryWords: el('span', {}),
      next: el('div', { class: 'next', role: 'cell' }), actions: actionButtons(false),
    };
    cell.badge = el('span', { class: 'badge' }, cell.sign, ' ', cell.state);
    const node = el('div', { class: 'row', role: 'row' },
      el('div', { class: 'state', role: 'cell' }, cell.badge),
      el('div', { class: 'name', role: 'cell' }, cell.name, cell.note),
      cell.port, cell.pid, cell.up, cell.restarts,
      el('div', { class: 'cpu', role: 'cell' }, cell.cpu.picture, cell.cpuWords),
      el('div', { class: 'memory', role: 'cell' }, cell.memory.picture, cell.memoryWords),
      cell.next, el('div', { class: 'do', role: 'cell' }, cell.actions.node));
    cells.set(node, cell);
    return node;
  }

  function drawRow(cell, service) {
    cell.drawn = service;
    cell.badge.dataset.tone = toneOf(service.state);
    text(cell.sign, signOf(service.state));
    text(cell.state, service.state);
    const note = service.refusal?.detail ?? service.note ?? [service.said.status, service.said.progress].filter(Boolean).join(' ');
    text(cell.note, note);
    cell.note.title = note ?? '';
    place(cell.port, ...service.ports.map((port) => portLink(port)));
    text(cell.pid, service.pid);
    text(cell.restarts, service.restarts || '');
    cell.restarts.title = service.restarts ? `${service.restarts} restarts` : '';
    cell.actions.update(service);
    drawSamples(cell, service);
  }

  function drawSamples(cell, service) {
    const course = service.pid ? known.samples.get(service.name) : null;
    cell.cpu.draw(course?.cpu ?? [], 10);
    cell.memory.draw(course?.memory ?? [], 1);
    text(cell.cpuWords, course ? percent(course.cpu.at(-1)) : '');
    text(cell.memoryWords, course ? size(course.memory.at(-1)) : '');
  }

  function drawTimes(cell, service) {
    text(cell.up, service.pid ? since(service.since) : '');
    text(cell.next, nextWords(service));
  }

  function eachRow(draw) {
    for (const child of rows.children) {
      const cell = cells.get(child);
      draw(cell, cell.drawn);
    }
  }

  return {
    node,
    update(kinds) {
      if (kinds.has('services') || kinds.has('link')) arrange();
      if (kinds.has('samples')) {
        if (chosen.column === 'cpu' || chosen.column === 'memory') arrange();
        eachRow(drawSamples);
      }
      if (kinds.has('time')) eachRow(drawTimes);
    },
    /** The focus goes from name to name; from anywhere else to the first. */
    step(by) {
      const here = document.activeElement?.closest('.rows .row');
      const at = here ? shown.findIndex((service) => service.name === cells.get(here).drawn.name) : -1;
      const next = Math.min(Math.max(at + by, 0), shown.length - 1);
      if (next < 0) return false;
      const target = list.reveal(next);
      target?.querySelector('a').focus({ preventScroll: true });
      return true;
    },
    end: () => list.end(),
  };
}

/** Where the service is met: on the machine that this page came from. */
export function portLink(port) {
  return el('a', { href: `http://${location.hostname}:${port}/`, target: '_blank', rel: 'noopener noreferrer', 'aria-label': `Port ${port}, opens in a new tab` }, `:${port}`);
}
