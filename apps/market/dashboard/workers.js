// A worker's state and the buttons that steer it, through the server, by soloist. What is refused is shown with its reason.

import { askFor, say, sayRefusal } from './dialogs.js';
import { el, text } from './dom.js';
import { refresh } from './live.js';
import { isSupervised, subscribe } from './state.js';

/**
 * `orders`: each with `word`, `ask(answers)` that sends it, and perhaps `form()` for a dialog first. `read()` gives `badge`
 * (tone and word), `facts` (pairs) and which orders make sense now (`offers`), or nothing while nothing was told.
 */
export function workerPanel({ title, orders, read, more = [] }) {
  const badge = el('span', { class: 'badge big' });
  const facts = el('dl', { class: 'facts' });
  const buttons = orders.map((order) => el('button', { type: 'button', 'aria-label': `${order.word} ${title}`, on: { click: (event) => press(order, event.currentTarget) } }, order.word));
  const node = el('section', { class: 'panel worker', 'aria-label': title },
    el('div', { class: 'bar' }, el('h2', {}, title), badge, el('div', { class: 'actions' }, buttons)), facts, more);
  let drawn = '';

  async function press(order, button) {
    const form = order.form?.();
    const answers = form ? await askFor(form) : {};
    if (!answers) return;
    button.setAttribute('aria-busy', 'true');
    try {
      const told = await order.ask(answers);
      say(told?.message ?? `${order.word} ${title}: done`);
    } catch (error) {
      sayRefusal(`${order.word} ${title} was refused`, error);
    } finally {
      button.removeAttribute('aria-busy');
      refresh('workers');
    }
  }

  function draw() {
    const now = read();
    if (!now) return;
    const [tone, word] = now.badge;
    badge.dataset.tone = tone;
    text(badge, word);
    orders.forEach((order, at) => {
      buttons[at].disabled = !isSupervised();
      buttons[at].hidden = now.offers[order.word] === false;
      buttons[at].title = isSupervised() ? '' : 'nothing supervises this project now';
    });
    const told = now.facts.filter(([, value]) => value !== null && value !== undefined && value !== '');
    if (JSON.stringify(told) === drawn) return;
    drawn = JSON.stringify(told);
    facts.replaceChildren(...told.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, String(value)))));
  }

  draw();
  return { node, draw, end: subscribe(draw) };
}

/** Tone and word of a worker about which nobody can tell or order anything. */
export function asleep({ supervised, state }) {
  if (supervised === false) return ['off', 'not supervised'];
  return state ? null : ['warn', 'not declared in soloist.toml'];
}

/** `yes` and `no` for what is known. */
export const yesNo = (value) => (value === null || value === undefined ? null : value ? 'yes' : 'no');
