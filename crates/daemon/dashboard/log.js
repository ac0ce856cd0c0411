// What a service writes, as it writes it: follows, searches, pauses, and gives the file. The newest 50,000 lines are
// kept; ten thousand in a second are shown as well as one, because only what is seen is drawn, once a frame.

import { el, text } from './dom.js';
import { get, path } from './net.js';
import { size } from './words.js';
import { virtualList } from './virtual.js';

const MOST = 50_000;
const FIRST = 500;
const AGAIN_MS = 5000;
/** Colours and movements of a terminal mean nothing here (ECMA-48 control sequences). */
const CONTROLS = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[@-_]|[\u0000-\u0008\u000b-\u001f]/g;

export function logView(name) {
  const where = `/api/v1/services/${path(name)}/logs`;
  const search = el('input', { type: 'search', placeholder: 'Search (/)', 'aria-label': 'Search the log', on: { input: sift } });
  const pause = el('button', { type: 'button', 'aria-pressed': 'false', on: { click: () => setPaused(!isPaused) } }, 'Pause');
  const count = el('span', { class: 'quiet', role: 'status' });
  const note = el('p', { class: 'quiet', hidden: true });
  const rows = el('div', { class: 'lines' });
  const scroller = el('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': `Log of ${name}`, tabindex: 0 }, rows);
  const node = el('section', { class: 'panel' }, el('h2', {}, 'Log'),
    el('div', { class: 'bar' }, search, pause,
      el('a', { class: 'button', href: `${where}?download=1`, download: `${name}.log` }, 'Download'), count),
    note, scroller);

  /** Each line has a number that stays its own, so that rows are kept while others go. */
  let lines = [];
  let shown = lines;
  let number = 0;
  let isOpenEnded = false;
  let isPaused = false;
  let isFollowing = true;
  let source = null;
  let timer = null;
  let isOver = false;
  let isDue = false;

  const list = virtualList({ box: rows, scroller, key: (line) => line.number, row });
  scroller.addEventListener('scroll', () => {
    isFollowing = scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 30;
  }, { passive: true });

  function row(line, old) {
    const node = old ?? el('div', { class: line.isOurs ? 'ours' : '' });
    const sought = search.value.toLowerCase();
    const seen = `${line.text}\u0000${sought}`;
    if (node.seen === seen) return node;
    node.seen = seen;
    node.replaceChildren(...marked(line.text, sought));
    return node;
  }

  const isFound = (line, sought) => line.isOurs || line.text.toLowerCase().includes(sought);

  function sift() {
    const sought = search.value.toLowerCase();
    shown = sought ? lines.filter((line) => isFound(line, sought)) : lines;
    draw();
  }

  function draw() {
    list.set(shown);
    text(count, search.value ? `${shown.length} of ${lines.length} lines` : `${lines.length} lines`);
    if (isFollowing && !isPaused) {
      scroller.scrollTop = scroller.scrollHeight;
      list.draw();
    }
  }

  function drawSoon() {
    if (isDue || isPaused || isOver) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      if (isOver || isPaused) return;
      // Trimmed here and not at each line: at 10,000 lines a second that would be the most work of all.
      if (lines.length > MOST * 1.1) lines = lines.slice(-MOST);
      sift();
    });
  }

  function add(words, isOurs = false) {
    lines.push({ number: (number += 1), text: words.replace(CONTROLS, ''), isOurs });
  }

  function take(event) {
    note.hidden = true;
    if (event.event === 'lines') {
      event.lines.forEach((words, at) => {
        const last = lines.at(-1);
        if (at === 0 && isOpenEnded && last) last.text += words.replace(CONTROLS, '');
        else add(words);
      });
      isOpenEnded = event.open === true;
    } else if (event.event === 'resync') {
      add(`… ${size(event.missed_bytes)} left out here: this page was too slow; the download has them`, true);
      isOpenEnded = false;
    } else if (event.event === 'rotated') {
      add('… what came next was deleted or replaced', true);
      isOpenEnded = false;
    }
    // While it is paused lines are kept, up to as many as always.
    if (lines.length > MOST * 2) lines = lines.slice(-MOST);
    drawSoon();
  }

  function open() {
    if (isOver) return;
    // A new source tells the first lines anew; one that goes on by itself does not.
    lines = [];
    isOpenEnded = false;
    source = new EventSource(`${where}?follow=1&lines=${FIRST}`);
    source.addEventListener('message', (message) => take(JSON.parse(message.data)));
    source.addEventListener('error', () => {
      // The browser goes on by itself from the last id as long as it may; only a refusal ends that.
      if (source.readyState === EventSource.CLOSED) refused();
    });
  }

  async function refused() {
    try {
      await get(`${where}?lines=1`);
    } catch (error) {
      note.hidden = false;
      text(note, error.isAbsent ? 'This daemon does not tell logs here; `soloist logs` does.' : error.message);
    }
    if (!isOver) timer = setTimeout(open, AGAIN_MS);
  }

  function setPaused(paused) {
    isPaused = paused;
    pause.setAttribute('aria-pressed', paused);
    text(pause, paused ? 'Go on' : 'Pause');
    if (!paused) {
      isFollowing = true;
      drawSoon();
    }
  }

  open();
  draw();
  return {
    node,
    end() {
      isOver = true;
      clearTimeout(timer);
      source.close();
      list.end();
    },
  };
}

/** A line with what is sought in it marked. */
function marked(words, sought) {
  if (!sought) return [words || '\u00a0'];
  const parts = [];
  const low = words.toLowerCase();
  let at = 0;
  for (let found = low.indexOf(sought); found >= 0; found = low.indexOf(sought, at)) {
    parts.push(words.slice(at, found), el('mark', {}, words.slice(found, found + sought.length)));
    at = found + sought.length;
  }
  parts.push(words.slice(at));
  return parts;
}
