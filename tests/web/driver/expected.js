// What a renderer has to draw of a surface, worked out from the daemon's own state of it.

/** The value at a pointer of a data model; a relative pointer starts at `base`. */
export function lookup(model, pointer, base = '/') {
  const path = pointer.startsWith('/') ? pointer : `${base}/${pointer}`;
  const segments = path.split('/').filter((it) => it !== '');
  return segments.reduce((at, it) => at?.[it.replaceAll('~1', '/').replaceAll('~0', '~')], model);
}

const join = (base, path) => (path.startsWith('/') ? path : `${base === '/' ? '' : base}/${path}`);

/** The inputs of one value. */
const INPUTS = ['TextField', 'CheckBox', 'Slider'];

/**
 * Each component that is to be seen, also one that is named and not there, as `{ id, path, type, text?, value? }` in the order of reading. `open` are the ids
 * of the modals that are open; `tabs` maps ids of Tabs to the tab that is shown, the first if it says nothing.
 * `text` is what a Text or a label must show, and `value` what an input must hold, unless a function makes it.
 */
export function expected({ components, dataModel }, { open = [], tabs = {} } = {}) {
  const byId = new Map(components.map((it) => [it.id, it]));
  const found = [];
  const shown = (value, base) => {
    if (typeof value?.path === 'string') return lookup(dataModel, value.path, base);
    return typeof value === 'object' ? undefined : value;
  };
  const children = (list, base) => {
    if (Array.isArray(list)) return list.forEach((id) => visit(id, base));
    const items = join(base, list.path);
    (lookup(dataModel, items) ?? []).forEach((_, at) => visit(list.componentId, `${items}/${at}`));
  };
  function visit(id, base) {
    const it = byId.get(id);
    if (!it) return found.push({ id, path: base, type: 'missing', definition: {} });
    const [text, value] = [textOf(it, base), INPUTS.includes(it.component) ? shown(it.value, base) : undefined];
    found.push({ id, path: base, type: it.component, text, value, definition: it });
    if (it.children) children(it.children, base);
    if (it.child) visit(it.child, base);
    if (it.tabs) visit(it.tabs[tabs[id] ?? 0].child, base);
    if (it.trigger) visit(it.trigger, base);
    if (it.content && open.includes(id)) visit(it.content, base);
  }
  function textOf({ component, text, label }, base) {
    const value = shown(component === 'Text' ? text : label, base);
    return value === undefined ? undefined : String(value);
  }
  visit('root', '/');
  return found;
}

/** The context of an action, where no function makes it. */
export function contextOf(context, model, base) {
  const entries = Object.entries(context ?? {}).map(([key, value]) => {
    return [key, value?.path === undefined ? value : lookup(model, value.path, base)];
  });
  return Object.fromEntries(entries);
}

/** The words of a text, without the signs of Markdown, the addresses of its links and the numbers of its lists. */
function words(text) {
  const plain = text.replace(/\]\([^)]*\)/g, ']').replace(/^\s*\d+\.\s/gm, '');
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** What a text never reads like unless something went wrong. */
const RUBBISH = /\bundefined\b|\bNaN\b|\[object |Invalid Date|\$\{/;

const key = ({ id, path, type }) => `${type} ${id} at ${path}`;

/** How what is drawn differs from what should be; nothing, if it does not. */
export function differences(wanted, drawn) {
  const faults = [];
  const left = [...drawn];
  for (const it of wanted) {
    const at = left.findIndex((real) => key(real) === key(it));
    if (at < 0) {
      faults.push(`not drawn: ${key(it)}`);
      continue;
    }
    const [real] = left.splice(at, 1);
    const isEmpty = it.text === '' || it.definition.children?.length === 0;
    if (!isEmpty && !(real.width > 0 && real.height > 0)) faults.push(`without a size: ${key(it)}`);
    if (!isEmpty && !real.isVisible) faults.push(`not visible: ${key(it)}`);
    if (it.text === undefined && it.type === 'Text' && !real.text) faults.push(`without a text: ${key(it)}`);
    if (RUBBISH.test(real.text)) faults.push(`rubbish: ${key(it)} reads ${JSON.stringify(real.text)}`);
    const [should, does] = [words(it.text ?? ''), words(real.text)];
    if (should.some((word) => !does.includes(word))) {
      faults.push(`${key(it)} reads ${JSON.stringify(real.text)} and not ${JSON.stringify(it.text)}`);
    }
    if (it.value !== undefined && it.value !== real.value) {
      faults.push(`${key(it)} has the value ${real.value} and not ${it.value}`);
    }
    if (real.isBroken) faults.push(`a picture is missing: ${key(it)}`);
  }
  for (const it of left) faults.push(`drawn without need: ${key(it)}`);
  return faults;
}
