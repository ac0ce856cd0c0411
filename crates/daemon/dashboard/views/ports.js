// Ports: who should be on each, and who is. Strangers are marked.

import { el, place, soon } from '../dom.js';
import { get, path } from '../net.js';
import { known } from '../store.js';
import { portLink } from './overview.js';

/** Class of a listener → tone and words. */
const CLASSES = {
  ours: ['good', 'ours'],
  leftover: ['bad', 'left over from an earlier run'],
  'other-project': ['warn', 'another project'],
  daemon: ['warn', 'soloist itself'],
  unit: ['warn', 'a system service'],
  container: ['warn', 'a container'],
  stranger: ['bad', 'a stranger'],
  'other-user': ['bad', 'another user'],
  unknown: ['bad', 'hidden'],
};

export function ports() {
  const body = el('tbody');
  const note = el('p', { class: 'empty', hidden: true });
  const table = el('table', { 'aria-label': 'Ports' },
    el('thead', {}, el('tr', {}, ['Port', 'Declared by', 'Who listens', 'Where', 'Processes'].map((head) => el('th', { scope: 'col' }, head)))), body);
  const node = el('section', {},
    el('div', { class: 'bar' }, el('h1', {}, 'Ports'), el('button', { type: 'button', on: { click: () => ask() } }, 'Look again')),
    note, el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Ports' }, table));

  const links = (names) => names.flatMap((name, at) => [at ? ', ' : '', el('a', { href: `#/service/${path(name)}` }, name)]);

  function rowOf({ port, declared, listeners }) {
    const who = listeners.map((one) => {
      const [tone, words] = CLASSES[one.class] ?? ['warn', one.class];
      const isMeant = one.class !== 'ours' || declared.length === 0 || declared.includes(one.service);
      const badge = el('span', { class: 'badge', 'data-tone': isMeant ? tone : 'bad' }, one.service && one.class === 'ours' ? one.service : words);
      return el('div', {}, badge, ' ', el('span', { class: 'quiet' }, one.text));
    });
    return el('tr', {}, el('td', {}, portLink(port)), el('td', {}, links(declared)),
      el('td', {}, who.length ? who : el('span', { class: 'quiet' }, 'nobody')),
      el('td', {}, listeners.map((one) => el('div', {}, one.address))),
      el('td', {}, listeners.map((one) => el('div', {}, one.pids.join(', ') || 'hidden'))));
  }

  /** What the statuses tell, for a daemon that does not tell of ports. */
  function declaredOnly() {
    const by = new Map();
    for (const service of known.services.values()) for (const port of service.ports) by.set(port, [...(by.get(port) ?? []), service.name]);
    return [...by].sort(([a], [b]) => a - b).map(([port, declared]) => el('tr', {},
      el('td', {}, portLink(port)), el('td', {}, links(declared)), el('td', {}, ''), el('td', {}, ''), el('td', {}, '')));
  }

  async function ask() {
    note.hidden = true;
    try {
      const told = await get('/api/v1/ports');
      place(body, ...told.ports.map(rowOf));
      if (!told.ports.length) note.textContent = 'No port is declared, and no service listens on one.';
      note.hidden = told.ports.length > 0;
    } catch (error) {
      note.hidden = false;
      note.textContent = error.isAbsent ? 'This daemon does not tell who listens; `soloist who PORT` does. These are declared.' : error.message;
      place(body, ...declaredOnly());
    }
  }

  // A service that comes or goes takes or leaves its ports: then, and when somebody looks here again, it is asked for anew.
  // Jobs come and go all the time, and few have a port.
  const askSoon = soon(500, ask);
  const living = () => [...known.services.values()].filter(({ kind, ports }) => kind !== 'job' || ports.length).map(({ name, state, pid, ports }) => [name, state, pid, ports].join(' ')).join();
  let seen = living();
  const look = () => {
    if (!document.hidden) askSoon();
  };
  document.addEventListener('visibilitychange', look);
  ask();
  return {
    node,
    update(kinds) {
      const now = kinds.has('services') ? living() : seen;
      if (now !== seen || kinds.has('link')) askSoon();
      seen = now;
    },
    end() {
      document.removeEventListener('visibilitychange', look);
      askSoon.cancel();
    },
  };
}
