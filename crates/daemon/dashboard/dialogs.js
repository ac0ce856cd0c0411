// Questions before what hurts, forms, and messages that stay until they are read.

import { el } from './dom.js';

/** Shows a dialog; gives what was answered: the form's values, or nothing if it was left. */
export function askFor({ title, words, fields = [], yes, isGrave = false }) {
  return new Promise((resolve) => {
    const form = el('form', { method: 'dialog' },
      el('h2', { id: 'dialog-title' }, title),
      words ? el('p', {}, words) : null,
      fields.map(({ label, input, note }) => el('label', {}, el('span', {}, label), input, note ? el('small', {}, note) : null)),
      el('div', { class: 'answers' },
        el('button', { value: '', type: 'submit', formnovalidate: true }, 'Cancel'),
        el('button', { value: 'yes', type: 'submit', class: isGrave ? 'grave' : 'main' }, yes)));
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' }, form);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(new FormData(form)) : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    // Enter in a field means yes, not the first button of the form.
    form.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.target.tagName !== 'INPUT') return;
      event.preventDefault();
      form.requestSubmit(form.querySelector('button[value=yes]'));
    });
    (form.querySelector('input, select') ?? form.querySelector('button[value=yes]')).focus();
  });
}

/** Good news goes by itself; a refusal stays. */
export function say(words) {
  const toast = el('div', { class: 'toast' }, words);
  document.getElementById('said').append(toast);
  setTimeout(() => toast.remove(), 5000);
}

export function sayRefusal(what, error) {
  const toast = el('div', { class: 'toast bad', role: 'alert' },
    el('strong', {}, what), el('span', {}, error.message), error.hint ? el('small', {}, error.hint) : null,
    el('button', { type: 'button', class: 'icon', 'aria-label': 'Close this message', on: { click: () => toast.remove() } }, '✕'));
  document.getElementById('said').append(toast);
}
