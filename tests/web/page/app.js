// Shows every surface of a daemon. The part after `#` says of which: `url`, `token`, and `reports=on`.

import { ContextProvider } from '@lit/context';
import { Context } from '@a2ui/lit/v0_9';
import { renderMarkdown } from '@a2ui/markdown-it';
import { Closed, Connection } from '../rpc.js';
import { DRAWN, Surfaces } from './surfaces.js';
import { components, drawn, markup, measured } from './measure.js';

/** The daemon believes a finding that two reports carry, half a second apart or more. */
const BETWEEN_REPORTS_MS = 600;
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [100, 3000];

const main = document.getElementById('surfaces');
const provider = new ContextProvider(main, { context: Context.markdown, initialValue: renderMarkdown });
provider.hostConnected();
const clientId = `page-${crypto.randomUUID()}`;
const errors = new Map();
const watched = new Set();
const decisions = [];
let daemon = { call: () => Promise.reject(new Closed('not connected')), close() {} };
const away = daemon;
let lastToken;
let attempts = 0;

// Read for each attempt: a daemon that starts again has another token, by which its lives are told apart.
const setting = (name) => new URLSearchParams(location.hash.slice(1)).get(name);
const show = (status) => (document.getElementById('status').textContent = status);
const section = (id) => [...main.children].find((it) => it.dataset.surface === id);
const stage = (id) => section(id).querySelector('a2ui-surface');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Two frames on, what was asked to be drawn is drawn. */
const painted = () =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));

function onError(id, error, isEarly = false) {
  // Whatever was missed comes with the snapshot of the next connection.
  if (error instanceof Closed) return;
  const { code = error.name, message, expression } = error;
  if (isEarly) return console.info(`surface ${id}, before its data: ${message}`);
  errors.set(id, [...(errors.get(id) ?? []), { code, message, expression }]);
  console.error(`surface ${id}: ${message}`);
}

function onChange(id, isNew) {
  let place = section(id);
  if (!place) {
    place = document.createElement('section');
    place.dataset.surface = id;
    place.append(Object.assign(document.createElement('h2'), { textContent: id }));
    main.append(place);
  }
  if (isNew) {
    place.querySelector('a2ui-surface')?.remove();
    place.append(Object.assign(document.createElement('a2ui-surface'), { surface: surfaces.get(id) }));
  }
  if (setting('reports') === 'on') watch(id).catch((error) => onError(id, error));
}

function onGone(id) {
  section(id)?.remove();
  errors.delete(id);
}

async function onAction(action, dataModel) {
  try {
    await daemon.call('a2ui.action', { ...action, dataModel });
  } catch (error) {
    onError(action.surfaceId, error);
  }
}

const surfaces = new Surfaces({ onChange, onGone, onError, onAction });

/** Reports what is drawn of a surface, and returns what the daemon decided. */
async function report(id) {
  const renderer = { name: '@a2ui/lit', version: A2UI_LIT_VERSION, catalogs: DRAWN };
  const viewport = { width: innerWidth, height: innerHeight, dpr: devicePixelRatio };
  const params = { surfaceId: id, revision: surfaces.revision(id), clientId, viewport, renderer };
  Object.assign(params, measured(stage(id), surfaces.get(id), errors.get(id) ?? []));
  const { decision } = await daemon.call('a2ui.render_report', params);
  decisions.push({ surfaceId: id, findings: params.findings, decision });
  return decision;
}

/** Reports until the daemon has nothing more to do about a surface. */
async function watch(id) {
  if (watched.has(id)) return;
  watched.add(id);
  try {
    await document.fonts.load("24px 'Material Icons'");
    for (let more = true; more && surfaces.get(id); ) {
      await painted();
      const seen = surfaces.revision(id);
      const { reason } = await report(id);
      more = ['unconfirmed', 'rate_limited'].includes(reason) || surfaces.revision(id) !== seen;
      if (more) await pause(BETWEEN_REPORTS_MS);
    }
  } finally {
    watched.delete(id);
  }
}

async function connect() {
  attempts += 1;
  const replay = (surfaceId) => daemon.call('a2ui/replay', { surfaceId });
  const onEvent = (method, event) => method === 'a2ui.event' && surfaces.hear(event, replay);
  const token = setting('token');
  daemon = await Connection.open(setting('url'), { token }, { onEvent });
  const { surfaces: all } = await daemon.call('a2ui/subscribe', { snapshot: true, lean: true });
  surfaces.take(all, token !== lastToken);
  lastToken = token;
  show('connected');
  return daemon.closed;
}

async function stay() {
  for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
    try {
      await connect();
      wait = FIRST_RETRY_MS;
    } catch (error) {
      console.info(error.message);
    }
    daemon.close();
    daemon = away;
    show('disconnected');
    await pause(wait);
  }
}

// What the suite, or a person at the console, asks of the page.
window.carport = {
  report,
  decisions,
  painted,
  components: (id) => components(stage(id)),
  state: () => ({ status: document.getElementById('status').textContent, attempts, reporting: watched.size }),
  drawn: () => Object.fromEntries(surfaces.ids().map((id) => [id, drawn(stage(id))])),
  markup: () => Object.fromEntries(surfaces.ids().map((id) => [id, markup(stage(id))])),
};

stay();
