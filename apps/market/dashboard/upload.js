// Both workbooks from this computer: the server looks at them before it replaces anything, and says why if it does not.

import { sayRefusal, say } from './dialogs.js';
import { el, text } from './dom.js';
import { refresh } from './live.js';
import { post } from './net.js';

const BOOKS = [['historical_file', 'Historical.xlsx'], ['live_file', 'Live.xlsx']];

export function upload() {
  const told = el('p', { class: 'why', role: 'status' });
  const button = el('button', { type: 'submit', class: 'main' }, 'Upload');
  const form = el('form', { class: 'bar', on: { submit: send } },
    BOOKS.map(([name, title]) => el('label', { class: 'file' }, el('span', {}, title), el('input', { type: 'file', name, required: true, accept: '.xlsx' }))), button);
  const node = el('section', { class: 'panel', 'aria-label': 'Upload' }, el('h2', {}, 'Upload both workbooks'), form, told);

  async function send(event) {
    event.preventDefault();
    button.disabled = true;
    text(told, 'Sending …');
    try {
      const { message, processing_result: result } = await post('/api/v1/upload/excel-files', new FormData(form));
      const done = [message, result && `${result.stocks_processed} of ${result.total_stocks} stocks`, ...(result?.errors ?? [])].filter(Boolean).join('\n');
      text(told, done);
      say(message ?? 'Both workbooks were taken.');
      form.reset();
      refresh();
    } catch (error) {
      text(told, [error.status ? 'Refused, and nothing was replaced:' : 'Whether they arrived, the runs below tell:', error.message, error.hint].filter(Boolean).join('\n'));
      sayRefusal('The workbooks were refused', error);
    } finally {
      button.disabled = false;
    }
  }

  return node;
}
