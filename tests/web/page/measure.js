// What the browser made of a surface: which components it drew, how large, and what is wrong with them.

/** Smallest side of something that is clicked, in CSS pixels (WCAG 2.2, 2.5.8). */
const SMALLEST_TARGET = 24;

/** Every element below, in the order of the document, shadow trees included. */
function* below(node) {
  for (const child of node.shadowRoot?.children ?? []) yield* [child, ...below(child)];
  for (const child of node.children ?? []) yield* [child, ...below(child)];
}

/** The elements that stand for components: `{ element, id, path, type }`. */
export function components(stage) {
  return [...below(stage)].filter((it) => it.context?.componentModel).map((element) => {
    const { componentModel, dataContext } = element.context;
    return { element, id: componentModel.id, path: dataContext.path, type: componentModel.type };
  });
}

/** The box around an element and, where it makes none itself, around what it holds. */
export function box(element) {
  const own = element.getBoundingClientRect();
  if (getComputedStyle(element).display !== 'contents') return own;
  const boxes = [...element.children].map(box).filter((it) => it.width && it.height);
  if (!boxes.length) return own;
  const [left, top] = ['left', 'top'].map((side) => Math.min(...boxes.map((it) => it[side])));
  const [right, bottom] = ['right', 'bottom'].map((side) => Math.max(...boxes.map((it) => it[side])));
  return new DOMRect(left, top, right - left, bottom - top);
}

/** Whether each icon is a picture of its font and not the letters of its name. */
const isGlyph = (icon) => icon.scrollWidth <= icon.clientWidth + 1;

const isVisible = (element) =>
  [...below(element)].some((it) => it.checkVisibility?.({ opacityProperty: true, visibilityProperty: true }));

/** What an input of one value shows. */
function valueOf(element, type) {
  if (type === 'CheckBox') return element.querySelector('input').checked;
  if (type === 'Slider') return Number(element.querySelector('input').value);
  if (type === 'TextField') return element.querySelector('input, textarea').value;
  return undefined;
}

/** What is drawn of a surface, for whoever compares it with what should be. */
export function drawn(stage) {
  return components(stage).map(({ element, id, path, type }) => {
    const { width, height } = box(element);
    const [image, icon] = [element.querySelector(':scope > img'), element.querySelector(':scope > i')];
    const isBroken = (image && !image.naturalWidth) || (icon && !isGlyph(icon));
    const text = element.innerText?.replace(/\s+/g, ' ').trim() ?? '';
    const value = valueOf(element, type);
    return { id, path, type, tag: element.localName, width, height, text, value, isBroken, isVisible: isVisible(element) };
  });
}

/** The document of a surface without what the renderer leaves in it for itself. */
export function markup(stage) {
  const write = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.data.trim();
    if (node.nodeType !== Node.ELEMENT_NODE || node.localName === 'style') return '';
    const names = node.getAttributeNames().filter((it) => it !== 'style' || node.style.length).sort();
    const attribute = (name) => node.getAttribute(name).replace(/\s+/g, ' ').trim();
    const attributes = names.map((name) => ` ${name}="${attribute(name)}"`).join('');
    const value = 'value' in node ? ` (${node.value})` : '';
    const inside = [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes].map(write).join('');
    return `<${node.localName}${attributes}${value}>${inside}</>`;
  };
  return write(stage);
}

/** What is wrong with one component, as it is drawn within `room`. */
function* faults({ element, type }, room) {
  const whole = box(element);
  const over = Math.round(Math.max(whole.right - room.right, room.left - whole.left));
  if (over > 0) yield { code: 'overflow_x', data: { px: over, type } };
  const inside = element.clientWidth && element.scrollWidth - element.clientWidth;
  if (inside > 0) yield { code: 'content_overflow_x', data: { px: inside, type } };
  if (type === 'Button') {
    const { width, height } = element.querySelector('button').getBoundingClientRect();
    const data = { width: Math.round(width), height: Math.round(height), type };
    if (Math.min(width, height) < SMALLEST_TARGET) yield { code: 'small_target', data };
  }
  const image = element.querySelector(':scope > img');
  if (image?.complete && !image.naturalWidth) {
    yield { code: 'broken_image', data: { dataPath: element.context.dataContext.path } };
  }
  const icon = element.querySelector(':scope > i');
  if (icon && !isGlyph(icon)) yield { code: 'icon_font_missing', data: {} };
}

/** The findings, numbers and focus of a report on a surface. */
export function measured(stage, surface, errors) {
  const all = components(stage);
  const room = stage.getBoundingClientRect();
  const findings = errors.map((data) => ({ code: 'renderer_error', data }));
  for (const [componentId, { type }] of surface.componentsModel.entries) {
    if (!surface.catalog.components.has(type)) {
      findings.push({ code: 'unknown_component', componentId, data: { type } });
    }
  }
  for (const it of all) {
    for (const fault of faults(it, room)) findings.push({ componentId: it.id, ...fault });
  }
  const nodes = [...below(stage)];
  const isHeld = ({ element }) => element.contains(document.activeElement);
  const focus = all.filter(isHeld).at(-1)?.id;
  return { findings, focus, stats: { components: all.length, domNodes: nodes.length } };
}
