// Elements from data. Text only ever becomes a text node, so nothing that a service says can become markup.

const SVG = 'http://www.w3.org/2000/svg';

/** An element; `on` holds listeners, `style` properties (set one by one, which the policy allows), the rest attributes. */
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, { on = {}, style = {}, ...attributes }, children) {
  for (const [kind, listener] of Object.entries(on)) node.addEventListener(kind, listener);
  for (const [name, value] of Object.entries(style)) node.style.setProperty(name, value);
  for (const [name, value] of Object.entries(attributes)) attribute(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** `true` is there, `false` and nothing is absent. */
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? '' : String(value));
}

/** Sets text only where it differs: what a screen reader or a selection holds stays. */
export function text(node, words) {
  const said = words === null || words === undefined ? '' : String(words);
  if (node.textContent !== said) node.textContent = said;
}

/**
 * Makes these the children of a node. A child that looks as it did stays: what is pressed, marked or has the focus in it is
 * not lost to a change of something else.
 */
export function place(node, ...children) {
  const stays = new Set(children);
  let next = node.firstChild;
  children.forEach((child, at) => {
    const isNext = (one) => next === one || (!stays.has(next) && next.isEqualNode(one));
    if (next && isNext(child)) {
      next = next.nextSibling;
    } else if (next && !children.slice(at + 1).some(isNext)) {
      next.replaceWith(child);
      next = child.nextSibling;
    } else {
      node.insertBefore(child, next);
    }
  });
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

/** A function that is called once for many calls in a row, `ms` after the first of them. */
export function soon(ms, act) {
  let timer = null;
  const later = () => {
    timer ??= setTimeout(() => {
      timer = null;
      act();
    }, ms);
  };
  later.cancel = () => {
    clearTimeout(timer);
    timer = null;
  };
  return later;
}
