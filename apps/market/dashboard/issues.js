// What is odd about cells of the workbooks, by cell: for all stocks or for one.

import { el, text } from './dom.js';
import { watch } from './live.js';
import { table } from './tables.js';

const SHOWN = 200;

/** Those that `isMeant`; the panel is not there while there are none, unless `isKept`. */
export function issueTable(label, isMeant = () => true, isKept = false) {
  const rows = table(label, ['Workbook', 'Cell', 'Stock', 'Kind', 'What']);
  const count = el('span', { class: 'quiet', role: 'status' });
  const node = el('section', { class: 'panel', hidden: !isKept }, el('div', { class: 'bar' }, el('h2', {}, 'Row issues'), count), rows.node);
  const watching = watch(() => '/api/v1/issues?limit=1000', ['snapshot'], ({ issues }) => {
    const meant = issues.filter(isMeant);
    node.hidden = !isKept && meant.length === 0;
    rows.node.hidden = meant.length === 0;
    text(count, meant.length === 0 ? 'none' : `${meant.length}${meant.length > SHOWN ? `, the first ${SHOWN} are shown` : ''}`);
    rows.draw(meant.slice(0, SHOWN), (issue) => [issue.workbook, issue.cell, issue.stock, issue.kind, issue.message]);
  }, (error) => text(count, error.message));
  return { node, end: () => watching.end() };
}
