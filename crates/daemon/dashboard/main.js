// Begins: joins routes to views, keys to rows, and shows whether what is shown is true now.

import { el, text } from './dom.js';
import { listen } from './keyboard.js';
import { begin, tryNow } from './live.js';
import { known, subscribe } from './store.js';
import { history } from './views/history.js';
import { overview } from './views/overview.js';
import { ports } from './views/ports.js';
import { schedules } from './views/schedules.js';
import { service } from './views/service.js';

const ROUTES = [
  [/^#?\/?$/, overview, 'Services'],
  [/^#\/service\/([^/?]+)$/, service, 'Service'],
  [/^#\/schedules$/, schedules, 'Schedules'],
  [/^#\/ports$/, ports, 'Ports'],
  [/^#\/history(?:\/([^/?]+))?$/, history, 'History'],
];

const main = document.getElementById('main');
/** The view that is shown: its `node`, `update(kinds)`, and perhaps `step(by)` and `end()`. */
let view = null;

function show() {
  view?.end?.();
  const found = ROUTES.map(([pattern, make, title]) => [location.hash.match(pattern), make, title]).find(([match]) => match);
  const [match, make, title] = found ?? [[''], nowhere, 'Nothing'];
  const name = match[1] ? decodeURIComponent(match[1]) : null;
  view = make(name);
  main.replaceChildren(view.node);
  view.update(new Set(['services', 'entries', 'samples', 'link']));
  document.title = `${name ?? title} · soloist`;
  for (const link of document.querySelectorAll('nav a')) {
    const isHere = link.hash === (location.hash || '#/') || (link.hash === '#/' && !location.hash.match(/^#\/[shp]\w+/)) || (link.hash === '#/history' && location.hash.startsWith('#/history'));
    if (isHere) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  scrollTo(0, 0);
}

function nowhere() {
  return { node: el('p', { class: 'empty' }, 'There is no such page. ', el('a', { href: '#/' }, 'To the services')), update() {} };
}

const WORDS = { connecting: 'connecting', live: 'live', lost: 'connection lost', shut: 'not let in' };
const TROUBLE = {
  lost: 'The connection to the daemon is lost; what you see is as it was. Trying again by itself. ',
  shut: 'This browser is not let in any more; what you see is as it was. `soloist open` lets it in again. ',
};

function showLink() {
  const link = document.getElementById('link');
  text(link, WORDS[known.link]);
  link.dataset.link = known.link;
  const lost = document.getElementById('lost');
  const words = TROUBLE[known.link];
  lost.hidden = !words;
  lost.replaceChildren(...(words ? [words, el('button', { type: 'button', on: { click: tryNow } }, 'Try now')] : []));
}

addEventListener('hashchange', show);
subscribe((kinds) => {
  if (kinds.has('link')) showLink();
  view?.update(kinds);
});
// Ages and "in 5 s" go on by themselves; nothing is asked for.
setInterval(() => {
  if (!document.hidden) view?.update(new Set(['time']));
}, 1000);
listen((by) => view?.step?.(by) ?? false, [
  ['s', '#/', 'services'], ['c', '#/schedules', 'schedules (calendar)'], ['p', '#/ports', 'ports'], ['h', '#/history', 'history'],
], '#/service/');
show();
begin();
