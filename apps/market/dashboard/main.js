// Begins: joins routes to views, keys to rows, and shows in the head how old the data are and whether they are live.

import { el, text } from './dom.js';
import { listen } from './keyboard.js';
import { begin, tryNow, watch } from './live.js';
import { now } from './net.js';
import { freshness, isSupervised, known, learn, subscribe } from './state.js';
import { moves } from './views/moves.js';
import { processing } from './views/processing.js';
import { scanner } from './views/scanner.js';
import { stock } from './views/stock.js';
import { stocks } from './views/stocks.js';
import { clock } from './words.js';

const ROUTES = [
  [/^#?\/?$/, stocks, 'Stocks'],
  [/^#\/stock\/([^/?]+)$/, stock, 'Stock'],
  [/^#\/moves$/, moves, 'Builds and unwinds'],
  [/^#\/scanner$/, scanner, 'Gaps'],
  [/^#\/processing$/, processing, 'Processing'],
];

const main = document.getElementById('main');
/** The view that is shown: its `node`, `end()`, and perhaps `tick()` for every second and `step(by)`. */
let view = null;

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show() {
  view?.end();
  const found = ROUTES.map(([pattern, make, title]) => [location.hash.match(pattern), make, title]).find(([match]) => match);
  const [match, make, title] = found ?? [[''], nowhere, 'Nothing'];
  const name = match[1] ? decoded(match[1]) : null;
  view = make(name);
  main.replaceChildren(view.node);
  main.dataset.view = location.hash || '#/';
  document.title = `${name ?? title} · market`;
  for (const link of document.querySelectorAll('nav a')) {
    const isHere = link.hash === location.hash || (link.hash === '#/' && (make === stocks || make === stock));
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  scrollTo(0, 0);
}

function nowhere() {
  return { node: el('p', { class: 'empty' }, 'There is no such page. ', el('a', { href: '#/' }, 'To the stocks')), end() {} };
}

const WORDS = { connecting: 'connecting', live: 'live', slow: 'every 15 s', lost: 'connection lost' };

function showLink() {
  const link = document.getElementById('link');
  text(link, WORDS[known.link]);
  link.dataset.link = known.link;
  const lost = document.getElementById('lost');
  const isLost = known.link === 'lost';
  if (lost.hidden !== isLost) return;
  lost.hidden = !isLost;
  lost.replaceChildren(...(isLost ? ['The server does not answer; what you see is as it was. Trying again by itself. ', el('button', { type: 'button', on: { click: tryNow } }, 'Try now')] : []));
}

const ALONE = 'Read-only: no soloist supervises this project now, so nothing can be started or stopped here. `soloist up` starts it.';

function showHead() {
  const { words, tone, why } = freshness();
  const age = document.getElementById('age');
  text(age, words);
  age.dataset.tone = tone;
  text(document.getElementById('clock'), clock(now()));
  const note = document.getElementById('note');
  const notes = [isSupervised() ? null : ALONE, why].filter(Boolean);
  note.hidden = notes.length === 0;
  text(note, notes.join(' '));
}

addEventListener('hashchange', show);
subscribe(() => {
  showLink();
  showHead();
});
// Clock and ages go on by themselves; nothing is asked for.
setInterval(() => {
  if (document.hidden) return;
  showHead();
  view.tick?.();
}, 1000);
listen((by) => view?.step?.(by) ?? false, [
  ['s', '#/', 'stocks'], ['m', '#/moves', 'moves'], ['g', '#/scanner', 'gaps'], ['p', '#/processing', 'processing'],
], '#/stock/');
watch(() => '/health', ['snapshot'], (health) => learn({ health }));
watch(() => '/api/v1/background/status', ['snapshot', 'workers'], (told) => learn({ processor: told.data }));
watch(() => '/api/scanner/status', ['scan', 'workers'], (scanner) => learn({ scanner }));
show();
begin();
