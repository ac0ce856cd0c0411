// Keys: / to the search field, arrows through rows, Escape back, g and a letter to a view, ? for help.

import { el } from './dom.js';

const KEYS = [
  ['/', 'to the search field'],
  ['↓ ↑ or j k', 'to the next or the previous row'],
  ['Enter', 'opens it'],
  ['Escape', 'leaves a field; from a service back to the list'],
  ['g then s, c, p, h', 'services, schedules (calendar), ports, history'],
  ['?', 'these keys'],
];

const VIEWS = { s: '#/', c: '#/schedules', p: '#/ports', h: '#/history' };

/** `step(by)` moves among the rows of the view that is shown, if it has any. */
export function listen(step) {
  let isGoing = false;
  document.getElementById('keys').addEventListener('click', showKeys);
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const isTyping = event.target.matches('input:not([type=checkbox]), select, textarea');
    if (event.key === 'Escape') {
      if (isTyping) event.target.blur();
      else if (location.hash.startsWith('#/service/')) location.hash = '#/';
      return;
    }
    const goes = isGoing && VIEWS[event.key];
    isGoing = false;
    if (isTyping && event.key !== 'ArrowDown') return;
    if (goes) location.hash = goes;
    else if (event.key === '/') document.querySelector('input[type=search]')?.focus();
    else if (event.key === '?') showKeys();
    else if (event.key === 'g') {
      isGoing = true;
      return;
    } else if ((event.key === 'ArrowDown' || event.key === 'j') && !scrolls(event.target)) {
      if (!step(1)) return;
    } else if ((event.key === 'ArrowUp' || event.key === 'k') && !scrolls(event.target)) {
      if (!step(-1)) return;
    } else return;
    event.preventDefault();
  });
}

/** In a box that scrolls by itself, the arrows are its own. */
const scrolls = (node) => node.closest('[role=log]') !== null;

function showKeys() {
  const dialog = el('dialog', { 'aria-labelledby': 'keys-title' },
    el('h2', { id: 'keys-title' }, 'Keys'),
    el('dl', { class: 'keys' }, KEYS.map(([key, what]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)])),
    el('form', { method: 'dialog' }, el('button', { class: 'main' }, 'Close')));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
