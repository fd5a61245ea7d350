/*
 * dom.js - elements: found by their id, and made
 */
export const $ = id => document.getElementById(id);

/* A property where the element has one (also onclick), else an attribute; what
 * is put inside is text, never HTML. */
export const make = (tag, has = {}, ...inside) => {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(has))
    if (k in e) e[k] = v;
    else e.setAttribute(k, v);
  e.append(...inside);
  return e;
};
