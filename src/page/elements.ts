/** Elements made of text and other elements: never of markup. */
export type Child = string | Node;

export function element(
  name: string,
  className: string,
  ...children: readonly Child[]
): HTMLElement {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

/** A table of two columns, or more; the first row is its head if `head` is given. */
export function tableOf(
  rows: readonly (readonly Child[])[],
  head?: readonly string[],
): HTMLElement {
  const table = element('table', '');
  if (head !== undefined)
    table.append(
      element('thead', '', element('tr', '', ...head.map((text) => element('th', '', text)))),
    );
  const body = element('tbody', '');
  for (const [first, ...rest] of rows) {
    const cells = rest.map((cell) => element('td', '', cell));
    body.append(element('tr', '', element('th', '', first ?? ''), ...cells));
  }
  table.append(body);
  return table;
}
