// The gap scanner: its state, and what it found, filtered and sorted by the server.

import { el, soon, text } from '../dom.js';
import { watch } from '../live.js';
import { now, post } from '../net.js';
import { known, learn } from '../state.js';
import { difference, table } from '../tables.js';
import { compact, decimal, moment, seconds } from '../words.js';
import { asleep, workerPanel, yesNo } from '../workers.js';

const ORDERS = [
  { word: 'Start', ask: () => post('/api/scanner/start') },
  { word: 'Stop', form: () => ({ title: 'Stop the scanner?', words: 'What it found stays, and grows older.', yes: 'Stop', isGrave: true }), ask: () => post('/api/scanner/stop') },
];

const SESSIONS = { pre: ['busy', 'pre-market'], regular: ['good', 'regular session'], after: ['calm', 'after hours'], closed: ['off', 'market closed'] };
const CLASSES = ['extreme-up', 'large-up', 'up', 'flat', 'down', 'large-down', 'extreme-down'];
const TONES = { idle: 'calm', checking: 'busy', scraping: 'good', sleeping: 'calm' };
/** A quote that is older was missed by several scans. */
const STALE_MS = 5 * 60_000;

/** What the person chose stays while other views are looked at. */
const chosen = new Map([['sort', '-gap'], ['limit', '100']]);

/** Title, what the server sorts by, and the cell. Of what is sorted by, the greatest come first. */
const COLUMNS = [
  ['Symbol', 'symbol', (quote) => el('strong', {}, quote.symbol)],
  ['Name', null, (quote) => quote.name],
  ['#Price', 'price', (quote) => decimal(quote.price)],
  ['#Gap %', 'gap', (quote) => difference(decimal(quote.gap_percent), quote.gap_percent)],
  ['#Change %', null, (quote) => difference(decimal(quote.change_percent), quote.change_percent)],
  ['#Volume', 'volume', (quote) => compact(quote.volume)],
  ['#Relative volume', 'relative_volume', (quote) => decimal(quote.relative_volume)],
  ['Class', null, (quote) => quote.gap_class],
  ['Session', null, (quote) => quote.session],
  ['#Market value', 'market_cap', (quote) => compact(quote.market_cap)],
  ['#Age', null, (quote) => el('time', { datetime: quote.fetched_at, title: moment(quote.fetched_at) })],
];

const FILTERS = [['min_gap', 'Gap from, %'], ['max_gap', 'Gap to, %'], ['min_price', 'Price from'], ['max_price', 'Price to'], ['min_volume', 'Volume from'], ['min_relative_volume', 'Relative volume from']];

function read() {
  const { scanner, scraper } = known;
  if (!scanner || !scraper) return null;
  return {
    badge: asleep(scanner) ?? (scanner.wanted ? [TONES[scraper.state] ?? 'good', scraper.state] : ['off', 'stopped']),
    offers: { Start: !scanner.wanted, Stop: scanner.wanted },
    facts: [['Process', scanner.pid], ['Claim held', yesNo(scanner.pid_file_detected)], ['Last scan', moment(scraper.last_check)],
      ['Progress', scraper.progress], ['Says', scanner.said], ['Hours change', moment(scanner.until)], ['Note', scanner.note]],
  };
}

export function scanner() {
  const panel = workerPanel({ title: 'Scanner', orders: ORDERS, read });
  const badge = el('span', { class: 'badge big', hidden: true });
  const count = el('span', { class: 'quiet', role: 'status' });
  const last = el('p', { class: 'quiet', hidden: true });
  const choice = (name, options) => el('select', { name, on: { change: choose } }, options.map(([value, words]) => el('option', { value, selected: (chosen.get(name) ?? '') === value }, words)));
  const named = (label, input) => el('label', {}, el('span', {}, label), input);
  const filters = el('form', { class: 'filters', 'aria-label': 'Filters', on: { submit: (event) => event.preventDefault() } },
    named('Session', choice('session', [['', 'all'], ...Object.entries(SESSIONS).map(([value, [, words]]) => [value, words])])),
    named('Class', choice('class', [['', 'all'], ...CLASSES.map((one) => [one, one])])),
    FILTERS.map(([name, label]) => named(label, el('input', { type: 'number', step: 'any', name, value: chosen.get(name), on: { input: choose } }))),
    named('At most', choice('limit', ['25', '100', '250', '1000'].map((value) => [value, value]))));
  const quotes = table('Quotes with gaps', COLUMNS.map(([title]) => title));
  const node = el('section', {}, el('div', { class: 'bar' }, el('h1', {}, 'Gaps'), badge, count),
    el('div', { class: 'panels' }, panel.node, el('section', { class: 'panel', 'aria-label': 'Quotes' }, filters, last, quotes.node)));

  const heads = [...quotes.node.querySelectorAll('th')];
  COLUMNS.forEach(([title, by], at) => {
    if (by) heads[at].replaceChildren(el('button', { type: 'button', on: { click: () => sortBy(by) } }, title.replace('#', '')));
  });
  drawOrder();

  function choose({ target }) {
    chosen.set(target.name, target.value);
    askSoon();
  }

  function sortBy(by) {
    chosen.set('sort', chosen.get('sort') === `-${by}` ? by : `-${by}`);
    drawOrder();
    watching.again();
  }

  function drawOrder() {
    const sort = chosen.get('sort');
    COLUMNS.forEach(([, by], at) => {
      if (by) heads[at].setAttribute('aria-sort', sort === by ? 'ascending' : sort === `-${by}` ? 'descending' : 'none');
    });
  }

  const query = () => `/api/instant_data?${new URLSearchParams([...chosen].filter(([, value]) => value !== ''))}`;
  const watching = watch(query, ['scan'], draw, (error) => text(count, [error.message, error.hint].filter(Boolean).join(' · ')));
  const askSoon = soon(200, () => watching.again());
  const scraper = watch(() => '/api/scraper-status', ['scan', 'workers'], (told) => learn({ scraper: told }));

  function draw(told) {
    text(count, told.ready ? `${told.stocks.length} shown` : told.message);
    drawSession(told);
    quotes.draw(told.stocks.map(({ age_seconds: _, ...quote }) => quote), (quote) => COLUMNS.map(([, , cell]) => cell(quote)));
    tick();
  }

  function drawSession({ session, last_scan: scan }) {
    const [tone, words] = SESSIONS[session] ?? [];
    badge.hidden = !tone;
    badge.dataset.tone = tone;
    text(badge, words);
    last.hidden = !scan;
    text(last, scan ? [`Last scan ${moment(scan.finished_at ?? scan.started_at)}`, scan.status, scan.message].filter(Boolean).join(' · ') : '');
  }

  function tick() {
    for (const time of node.querySelectorAll('time')) {
      const age = now() - Date.parse(time.dateTime);
      text(time, Number.isNaN(age) ? '' : seconds(age));
      time.dataset.tone = age > STALE_MS ? 'bad' : 'off';
    }
  }

  return {
    node,
    tick,
    end() {
      askSoon.cancel();
      for (const one of [watching, scraper]) one.end();
      panel.end();
    },
  };
}
