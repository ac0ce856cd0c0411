// Keys: / to the search field, arrows through rows, Escape back, g and a letter to a view, ? for help. Which views there
// are, the page says.

import { el } from './dom.js';

const KEYS = [
  ['/', 'to the search field'],
  ['↓ ↑ or j k', 'to the next or the previous row'],
  ['Enter', 'opens it'],
  ['Escape', 'leaves a field; from one thing back to the list'],
];

/**
 * `step(by)` moves among the rows of the view that is shown, if it has any. `views` are pairs of a letter, the hash and the
 * name of a view; `deep` is how a hash begins from which Escape goes back to the first of them.
 */
export function listen(step, views, deep) {
  let isGoing = false;
  const hashes = new Map(views.map(([letter, hash]) => [letter, hash]));
  const keys = [...KEYS, [`g then ${views.map(([letter]) => letter).join(', ')}`, views.map(([, , name]) => name).join(', ')], ['?', 'these keys']];
  document.getElementById('keys').addEventListener('click', () => showKeys(keys));
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const isTyping = event.target.matches('input:not([type=checkbox]), select, textarea');
    if (event.key === 'Escape') {
      if (isTyping) event.target.blur();
      else if (location.hash.startsWith(deep)) location.hash = views[0][1];
      return;
    }
    const goes = isGoing && hashes.get(event.key);
    isGoing = false;
    if (isTyping && event.key !== 'ArrowDown') return;
    if (goes) location.hash = goes;
    else if (event.key === '/') document.querySelector('input[type=search]')?.focus();
    else if (event.key === '?') showKeys(keys);
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

function showKeys(keys) {
  const dialog = el('dialog', { 'aria-labelledby': 'keys-title' },
    el('h2', { id: 'keys-title' }, 'Keys'),
    el('dl', { class: 'keys' }, keys.map(([key, what]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)])),
    el('form', { method: 'dialog' }, el('button', { class: 'main' }, 'Close')));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
