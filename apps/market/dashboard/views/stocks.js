// All stocks as a grid, found by a few letters, and the favourites above them.

import { el, text } from '../dom.js';
import { favourites, isFavourite, ready, toggle } from '../favourites.js';
import { watch } from '../live.js';
import { path } from '../net.js';

/** So many are drawn at first; who wants another one seeks it. */
const STEP = 600;

/** What was sought stays while other views are looked at. */
const chosen = { words: '' };

export const stockLink = (name) => el('a', { href: `#/stock/${path(name)}` }, name);

/** A star that remembers; `then()` is called after it was pressed. */
export function star(name, then = () => {}) {
  const button = el('button', { type: 'button', class: 'star', 'aria-label': `Favourite ${name}`, on: {
    click: () => {
      toggle(name);
      draw();
      then();
    },
  } });
  const draw = () => {
    text(button, isFavourite(name) ? '★' : '☆');
    button.setAttribute('aria-pressed', isFavourite(name));
  };
  draw();
  ready.then(draw);
  return button;
}

const letters = (name) => name.toUpperCase().replace(/[^A-Z0-9]/g, '');

export function stocks() {
  const search = el('input', { type: 'search', placeholder: 'Find a stock (/)', 'aria-label': 'Find a stock', value: chosen.words, on: {
    input: () => {
      chosen.words = search.value;
      draw();
    },
    keydown: (event) => {
      const first = grid.querySelector('a');
      if (event.key === 'Enter' && first) location.hash = first.hash;
    },
  } });
  const count = el('span', { class: 'quiet', role: 'status' });
  const grid = el('ul', { class: 'grid', 'aria-label': 'All stocks' });
  const liked = el('ul', { class: 'grid', 'aria-label': 'Favourites' });
  const noneLiked = el('p', { class: 'quiet' }, 'A ☆ beside a stock keeps it here, in this browser.');
  const empty = el('p', { class: 'empty', hidden: true });
  const node = el('section', {}, el('h1', { class: 'unseen' }, 'Stocks'),
    el('section', { class: 'panel liked', 'aria-label': 'Favourites' }, el('h2', {}, 'Favourites'), liked, noneLiked),
    el('div', { class: 'bar' }, search, count), grid, empty);

  let all = null;
  let message = '';

  const tile = (name) => el('li', { class: 'tile' }, stockLink(name), star(name, drawLiked));

  function draw() {
    const sought = letters(chosen.words);
    const found = (all ?? []).filter((name) => letters(name).includes(sought));
    grid.replaceChildren(...found.slice(0, STEP).map(tile));
    text(count, all === null ? '' : [found.length === all.length ? `${all.length} stocks` : `${found.length} of ${all.length}`, found.length > STEP && `the first ${STEP} are shown`].filter(Boolean).join(', '));
    empty.hidden = all === null || found.length > 0;
    text(empty, all?.length ? 'No stock has these letters.' : message || 'No stock has rows yet.');
  }

  function drawLiked() {
    const names = favourites();
    liked.replaceChildren(...names.map((name) => el('li', { class: 'tile' }, stockLink(name), star(name, () => {
      drawLiked();
      draw();
      (liked.querySelector('button') ?? search).focus();
    }))));
    noneLiked.hidden = names.length > 0;
  }

  drawLiked();
  ready.then(drawLiked);
  const watching = watch(() => '/api/v1/stocks', ['snapshot'], (told) => {
    message = told.message ?? '';
    if (all?.join('\n') === told.all_stocks.join('\n')) return;
    all = told.all_stocks;
    draw();
  }, (error) => {
    message = error.message;
    if (all === null) draw();
  });

  return {
    node,
    /** The focus goes from stock to stock. */
    step(by) {
      const links = [...grid.querySelectorAll('a')];
      const at = links.indexOf(document.activeElement);
      const next = links[Math.min(Math.max(at + by, 0), links.length - 1)];
      next?.focus();
      return Boolean(next);
    },
    end: () => watching.end(),
  };
}
