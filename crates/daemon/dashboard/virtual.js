// A list of which only what is seen is in the document: 1,000 services and 50,000 lines of a log cost as much as thirty.
// Every row has the same height, which the style sheet says (`--row`), so that it can differ with the width of the page.

/** Rows beyond both edges, so that a quick scroll meets no blank. */
const BEYOND = 6;

/**
 * `box` holds the rows; `scroller` is what scrolls: an element, or nothing for the page. `row(item, node)` gives the
 * node of an item, the one from before if there is one; `key(item)` names it.
 */
export function virtualList({ box, scroller = null, key, row }) {
  let items = [];
  let rowHeight = 0;
  const shown = new Map();
  const target = scroller ?? window;

  function measure() {
    rowHeight = Number.parseFloat(getComputedStyle(box).getPropertyValue('--row')) || 40;
    draw();
  }

  function draw() {
    box.style.height = `${items.length * rowHeight}px`;
    const top = scroller ? scroller.scrollTop : -box.getBoundingClientRect().top;
    const height = scroller ? scroller.clientHeight : innerHeight;
    const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
    const last = Math.min(items.length, Math.ceil((top + height) / rowHeight) + BEYOND);
    const keep = new Set();
    let before = null;
    for (let at = first; at < last; at += 1) {
      const name = key(items[at], at);
      keep.add(name);
      const old = shown.get(name);
      const node = row(items[at], old ?? null);
      node.style.transform = `translateY(${at * rowHeight}px)`;
      // Of a table; a line of a log has no index.
      if (node.getAttribute('role') === 'row') node.setAttribute('aria-rowindex', at + 2);
      if (node !== old) {
        old?.remove();
        shown.set(name, node);
      }
      // In the order of the list: the tab key follows the document, not the picture. A row that has the focus stays
      // where it is, because moving it would take the focus away.
      const place = before ? before.nextSibling : box.firstChild;
      if (place !== node && !node.contains(document.activeElement)) box.insertBefore(node, place);
      else if (!node.isConnected) box.append(node);
      before = node;
    }
    for (const [name, node] of shown) {
      // The row in focus stays even out of sight: otherwise the next key would go nowhere.
      if (keep.has(name) || node.contains(document.activeElement)) continue;
      node.remove();
      shown.delete(name);
    }
  }

  let isDue = false;
  const drawSoon = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
  target.addEventListener('scroll', drawSoon, { passive: true });
  const watch = new ResizeObserver(() => measure());
  watch.observe(scroller ?? document.documentElement);

  return {
    set(next) {
      items = next;
      if (!rowHeight) measure();
      else draw();
    },
    draw,
    /** Brings a row into sight and gives its node. */
    reveal(at) {
      const top = at * rowHeight;
      if (scroller) scroller.scrollTop = Math.max(0, top - scroller.clientHeight / 2);
      else {
        const place = box.getBoundingClientRect().top + top;
        if (place < 120 || place > innerHeight - rowHeight * 2) scrollBy(0, place - innerHeight / 2);
      }
      draw();
      return shown.get(key(items[at], at));
    },
    end() {
      target.removeEventListener('scroll', drawSoon);
      watch.disconnect();
    },
  };
}
