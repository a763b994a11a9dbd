// The tests, in the order in which they are run; each finds the world as the one before left it.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { contextOf, differences, expected, lookup } from './expected.js';
import { unknown } from './known.js';
import { makeDirectory } from './world.js';

/** What the renderer says to components of the daemon's own catalog. */
const LACKING = [/^warning: Component implementation not found .* type: (Badge|Spacer|Select)$/];

/** Asks until the answer is no list of faults any more; the last faults if that takes too long. */
export async function settles(faults, seconds = 15) {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const found = await faults();
    if (!found.length || Date.now() > until) return found;
    await pause(50);
  }
}

/**
 * How a page differs from the daemon's surfaces, by surface. The options of a surface are those of `expected`, and
 * `typed`, the data model that the renderer has if a person typed into it.
 */
async function compare(screen, client, options = {}) {
  const [surfaces, drawn] = [await client.call('a2ui.surfaces'), await screen.drawn()];
  const extra = Object.keys(drawn).filter((id) => !surfaces.some((it) => it.surfaceId === id));
  const faults = new Map(extra.map((id) => [id, ['is not there any more']]));
  for (const surface of surfaces) {
    const id = surface.surfaceId;
    const { typed = surface.dataModel, ...shown } = options[id] ?? {};
    const wanted = expected({ ...surface, dataModel: typed }, shown);
    const list = drawn[id] ? unknown(id, differences(wanted, drawn[id])) : ['is not on the page'];
    faults.set(id, list);
  }
  return faults;
}

/** The faults of all surfaces but those of which some component is not the renderer's to draw. */
const flat = (faults) =>
  [...faults].flatMap(([id, list]) => (id === 'extended' ? [] : list.map((it) => `${id}: ${it}`)));

/** What a page complained about since it was last asked. */
const complaints = (screen) => screen.complaints.splice(0);

/** A page whose origin the daemon does not know gets nothing. */
export async function strangers({ tally, browser, stranger, settings }) {
  await tally.run('a page of another origin is refused', async () => {
    const tolerated = [/WebSocket connection .* 403/];
    const screen = await browser.open(stranger.origin, settings(), { tolerated });
    const faults = await settles(async () => {
      const { attempts, status } = await screen.state();
      return attempts > 1 && status === 'disconnected' ? [] : [`${attempts} attempts, ${status}`];
    });
    const drawn = Object.keys(await screen.drawn());
    await screen.close();
    return [...faults, ...drawn.map((it) => `shows ${it}`), ...complaints(screen)];
  });
}

/** Every example, on a page that was there before the agent. */
export async function drawing(world) {
  const { tally, browser, daemon, site, settings, examples, surfaces, output } = world;
  const screen = (world.screen = await browser.open(site.origin, settings(), { tolerated: LACKING }));
  await settles(async () => ((await screen.state()).status === 'connected' ? [] : ['not connected']));
  const client = (world.client = await daemon.connect());
  await tally.run('the agent draws while the page looks on', async () => {
    await daemon.keepPainter(examples);
    return settles(async () => {
      const there = await client.call('a2ui.surfaces');
      return there.some((it) => it.surfaceId === 'answers') ? [] : ['the agent does not draw'];
    });
  });
  let faults;
  await settles(async () => flat((faults = await compare(screen, client))));
  const said = complaints(screen);
  const all = await client.call('a2ui.surfaces');
  for (const { name, surfaceId, components } of surfaces) {
    await tally.run(name, async () => {
      await screen.shot(surfaceId, join(output, `${name}.png`));
      const kept = keeps(components, all.find((it) => it.surfaceId === surfaceId));
      return [...kept, ...(faults.get(surfaceId) ?? ['is not on the page'])];
    });
  }
  tally.note('no complaint of the renderer or the browser', [...said, ...complaints(screen)]);
  const early = Object.entries(screen.early).map(([id, count]) => `${id} ${count}`);
  console.log(`Before their data came, functions complained: ${early.join(', ')}`);
}

/** How the daemon's state of a surface differs from the components of its example. */
function keeps(components, surface) {
  const kept = new Map(surface?.components.map((it) => [it.id, it]));
  const lost = components.filter((it) => !isDeepStrictEqual(kept.get(it.id), it));
  const more = kept.size - components.length;
  return [...lost.map((it) => `the daemon does not hold ${it.id}`), ...(more ? [`it holds ${more} more`] : [])];
}

/** A page that comes later sees the same, from the snapshot. */
export async function lateJoiner({ tally, browser, site, settings, screen, client }) {
  await tally.run('a page that comes later shows the same', async () => {
    const late = await browser.open(site.origin, settings(), { tolerated: LACKING });
    const faults = await settles(async () => flat(await compare(late, client)));
    faults.push(...(await settles(async () => unequal(await screen.markup(), await late.markup()))));
    await late.close();
    return [...faults, ...complaints(late)];
  });
}

/** The surfaces that two pages show otherwise. */
function unequal(one, other) {
  const ids = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...ids].filter((id) => one[id] !== other[id]).map((id) => {
    const [a, b] = [one[id] ?? '', other[id] ?? ''];
    const at = Math.max(0, [...a].findIndex((it, at) => it !== b[at]) - 40);
    return `${id}: ${a.slice(at, at + 120)} and ${b.slice(at, at + 120)}`;
  });
}

/** Modals open and close, and tabs change. */
export async function openings({ tally, screen, client, output }) {
  for (const surface of await client.call('a2ui.surfaces')) {
    const id = surface.surfaceId;
    const faults = async (options) => (await compare(screen, client, { [id]: options })).get(id);
    for (const it of expected(surface)) {
      const press = async (inner) => (await screen.part(id, it, inner)).click();
      if (it.type === 'Modal') {
        await tally.run(`the modal ${it.id} of ${id} opens`, async () => {
          await press('.a2ui-modal-trigger');
          const opened = await settles(() => faults({ open: [it.id] }));
          await screen.page.screenshot({ path: join(output, `open-${id}.png`) });
          await press('.a2ui-modal-close');
          return [...opened, ...(await settles(() => faults({}))), ...complaints(screen)];
        });
      }
      const tabs = it.definition.tabs ?? [];
      for (const [at, tab] of [...tabs.entries()].slice(1)) {
        await tally.run(`the tab ${tab.title} of ${id} shows`, async () => {
          await press(`.a2ui-tab-button:nth-child(${at + 1})`);
          const shown = await settles(() => faults({ tabs: { [it.id]: at } }));
          await screen.shot(id, join(output, `tab-${at + 1}-${id}.png`));
          await press('.a2ui-tab-button:first-child');
          return [...shown, ...(await settles(() => faults({}))), ...complaints(screen)];
        });
      }
    }
  }
}

/** What a person types before the buttons are pressed. */
const TYPED = {
  'gallery-simple-login-form': { '/username': 'ada', '/password': 'analytical' },
  'gallery-login-form': { '/email': 'ada@example.org', '/password': 'analytical' },
  'gallery-advanced-validator': {
    '/formData/email': 'ada@example.org',
    '/formData/phone': '+441234567890',
    '/formData/zip': '12345',
    '/formData/agree': true,
  },
};

/** Types into the fields of a surface; returns the data model that the renderer should have then. */
async function fill(screen, surface) {
  const model = structuredClone(surface.dataModel);
  const typed = TYPED[surface.surfaceId] ?? {};
  for (const it of expected(surface)) {
    const value = typed[it.definition.value?.path];
    if (value === undefined) continue;
    const input = await screen.part(surface.surfaceId, it, 'input');
    if (value === true) await input.check();
    else await input.fill(value);
    const [last, ...way] = it.definition.value.path.split('/').slice(1).reverse();
    const parent = way.length ? lookup(model, `/${way.reverse().join('/')}`) : model;
    parent[last] = value;
  }
  return model;
}

/** Every button with an event is pressed, and the agent's answer to each is seen. */
export async function actions(world) {
  const { tally, screen, client, output } = world;
  // The triggers of modals were pressed before.
  const { text } = (await screen.drawn()).answers.find((it) => it.id === 'answer');
  let count = parseInt(text, 10) || 0;
  world.typed = {};
  for (const surface of await client.call('a2ui.surfaces')) {
    const id = surface.surfaceId;
    const isExample = world.surfaces.some((it) => it.surfaceId === id);
    const buttons = expected(surface).filter((it) => it.definition.action?.event);
    if (!isExample || !buttons.length) continue;
    await tally.run(`buttons of ${id}: ${buttons.length}`, async () => {
      const faults = [];
      const isOff = async (it) => !(await (await screen.part(id, it, 'button')).isEnabled());
      const off = [];
      for (const it of buttons) if (await isOff(it)) off.push(it.id);
      const should = TYPED[id] ? buttons.filter((it) => it.definition.checks).map((it) => it.id) : [];
      if (String(off) !== String(should)) faults.push(`disabled are ${off} and not ${should}`);
      const model = await fill(screen, surface);
      world.typed[id] = { typed: model };
      for (const it of buttons) {
        count += 1;
        await (await screen.part(id, it, 'button')).click({ timeout: 15000 });
        faults.push(...(await settles(() => answered(screen, id, it, model, count))));
        const close = screen.page.locator('.a2ui-modal-close');
        if (await close.count()) await close.first().click();
      }
      return [...faults, ...complaints(screen)];
    });
  }
  await screen.shot('answers', join(output, 'answers.png'));
  const button = 'gallery-interactive-button';
  await tally.run('the agent changes what was clicked', async () => {
    await screen.shot(button, join(output, 'clicked.png'));
    return settles(async () => {
      const { text } = (await screen.drawn())[button].find((it) => it.id === 'title');
      return /You clicked, says the agent: \d+/.test(text) ? [] : [`it reads ${text}`];
    });
  });
}

/** How the answer on the page differs from what the agent should say to an action. */
async function answered(screen, surfaceId, button, model, count) {
  const { name, context } = button.definition.action.event;
  const drawn = (await screen.drawn()).answers;
  const reads = (id) => drawn.find((it) => it.id === id).text;
  const faults = [];
  const answer = `${count}: ${name} from ${button.id} of ${surfaceId}`;
  if (reads('answer') !== answer) faults.push(`the answer is ${reads('answer')} and not ${answer}`);
  const sent = JSON.stringify(contextOf(context, model, button.path));
  const heard = reads('context');
  const sorted = (json) => JSON.stringify(Object.entries(JSON.parse(json || '{}')).sort());
  if (sorted(heard) !== sorted(sent)) faults.push(`the context is ${heard} and not ${sent}`);
  return faults;
}

/** What a page missed while its socket was closed, it shows when it is back. */
export async function reconnecting({ tally, screen, client, wire, typed }) {
  await tally.run('a page whose socket closed catches up', async () => {
    const [surfaceId, gone, fresh] = ['gallery-simple-text', 'gallery-row-layout', 'drawn-while-away'];
    const catalogId = 'https://a2ui.org/specification/v0_9/catalogs/basic/catalog.json';
    const root = (text) => [{ id: 'root', component: 'Text', text }];
    wire.cut();
    const isAway = async () => ((await screen.state()).status === 'disconnected' ? [] : ['still there']);
    const faults = await settles(isAway);
    for (const message of [
      { updateComponents: { surfaceId, components: root('Changed while away') } },
      { deleteSurface: { surfaceId: gone } },
      { createSurface: { surfaceId: fresh, catalogId } },
      { updateComponents: { surfaceId: fresh, components: root('New') } },
    ]) await client.call('a2ui.apply', { envelope: { version: 'v0.9', ...message } });
    const before = await screen.drawn();
    if (!before[gone] || before[fresh]) faults.push('the page heard of changes without a socket');
    wire.mend();
    faults.push(...(await settles(async () => flat(await compare(screen, client, typed)))));
    // And it goes on following, with what was typed.
    const again = { updateComponents: { surfaceId: fresh, components: root('Changed again') } };
    await client.call('a2ui.apply', { envelope: { version: 'v0.9', ...again } });
    faults.push(...(await settles(async () => flat(await compare(screen, client, typed)))));
    const said = complaints(screen).filter((it) => !/WebSocket connection to .* failed/.test(it));
    return [...faults, ...said];
  });
}

/** A daemon that starts anew has no surfaces and another token; its agent draws them again. */
export async function restart(world) {
  const { tally, screen, daemon, wire, settings } = world;
  await tally.run('a page follows the daemon through a restart', async () => {
    await daemon.stop();
    await daemon.start();
    wire.port = daemon.port;
    const hash = new URLSearchParams(settings()).toString();
    await screen.page.evaluate((it) => void (location.hash = it), hash);
    world.client = await daemon.connect();
    const count = world.surfaces.length + 3;
    const faults = await settles(async () => {
      const drawn = Object.keys(await screen.drawn()).length;
      return drawn === count ? flat(await compare(screen, world.client)) : [`${drawn} of ${count} surfaces`];
    });
    const said = complaints(screen).filter((it) => !/WebSocket connection to .* failed/.test(it));
    await screen.close();
    return [...faults, ...said];
  });
}

/** The worst that sticks out of a surface or of a component of it, in pixels. */
const overflow = (findings) =>
  Math.max(0, ...findings.filter((it) => it.code.includes('overflow_x')).map((it) => it.data.px));

/** A telephone reports what it measured; the daemon patches, and the page draws the patches. */
export async function reports({ tally, browser, client, site, settings, output, surfaces }) {
  const folder = makeDirectory(join(output, 'phone'));
  const phone = await browser.open(site.origin, { ...settings(), reports: 'on' }, { width: 375, height: 740, tolerated: LACKING });
  let decisions = [];
  const of = (id) => decisions.filter((it) => it.surfaceId === id);
  await tally.run('a telephone reports until there is nothing left to do', async () => {
    const faults = await settles(async () => {
      const { reporting } = await phone.state();
      decisions = await phone.decisions();
      const silent = ['answers', 'wide-row', 'extended', ...surfaces.map((it) => it.surfaceId)];
      const missing = silent.filter((it) => !of(it).length);
      return reporting ? [`${reporting} surfaces are still reported`] : missing.map((it) => `${it} is not reported`);
    }, 60);
    return [...faults, ...complaints(phone)];
  });
  const patches = decisions.filter((it) => it.decision.kind === 'patch');
  const strategies = patches.map((it) => `${it.surfaceId}: ${it.decision.strategy}`);
  console.log(`${decisions.length} reports, ${patches.length} patches\n  ${strategies.join('\n  ')}`);
  await tally.run('a row that is too wide becomes a column', async () => {
    const [first, last] = [of('wide-row').at(0), of('wide-row').at(-1)];
    const faults = [];
    if (!(overflow(first.findings) > 8)) faults.push('it was not too wide');
    if (overflow(last.findings) > 0) faults.push(`it is still too wide: ${JSON.stringify(last.findings)}`);
    const { type, tag } = (await phone.drawn())['wide-row'].find((it) => it.id === 'cities');
    if (type !== 'Column' || tag !== 'a2ui-basic-column') faults.push(`drawn as ${tag} for ${type}`);
    return faults;
  });
  await tally.run('what the renderer lacks is drawn with what it has', async () => {
    const types = (await phone.drawn()).extended.map(({ id, type }) => `${id} ${type}`).join(', ');
    const should = 'root Column, title Text, badge Text, spacer Divider, size ChoicePicker';
    return types === should ? [] : [`${types} and not ${should}`];
  });
  await tally.run('after the patches the page is as the daemon has it', async () => {
    const faults = flat(await compare(phone, client));
    const worse = [...new Set(patches.map((it) => it.surfaceId))].filter((id) => {
      return overflow(of(id).at(-1).findings) > overflow(of(id).at(0).findings);
    });
    for (const id of new Set(patches.map((it) => it.surfaceId))) await phone.shot(id, join(folder, `${id}.png`));
    return [...faults, ...worse.map((it) => `${it} is wider than before`), ...complaints(phone)];
  });
  await phone.close();
}
