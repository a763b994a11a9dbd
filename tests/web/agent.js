// An agent that draws every example of a directory, and answers each action that a person takes on them.
//
//   carport agents add painter --interpreter node --arg "$PWD/tests/web/agent.js" --arg EXAMPLES --start

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import WebSocket from 'ws';
import { Connection } from './rpc.js';

const BASIC = 'https://a2ui.org/specification/v0_9/catalogs/basic/catalog.json';
const EXTENDED = 'urn:carport:a2ui:catalog:extended:1';
const text = (id, text, variant = 'body') => ({ id, component: 'Text', text, variant });
const column = (id, children) => ({ id, component: 'Column', children });

/** The messages that make a surface. */
function surface(surfaceId, catalogId, components, value = {}) {
  return [
    { createSurface: { surfaceId, catalogId } },
    { updateComponents: { surfaceId, components } },
    { updateDataModel: { surfaceId, value } },
  ].map((it) => ({ version: 'v0.9', ...it }));
}

/** Where the answers are shown. */
const answers = surface('answers', BASIC, [
  column('root', ['title', 'answer', 'context']),
  text('title', 'The agent answers', 'h3'),
  text('answer', { path: '/answer' }, 'h4'),
  text('context', { path: '/context' }, 'caption'),
], { answer: 'Nothing yet', context: '' });

/** Wider than a telephone. */
const cities = ['Amsterdam', 'Bratislava', 'Copenhagen', 'Düsseldorf', 'Edinburgh'];
const wide = surface('wide-row', BASIC, [
  column('root', ['title', 'cities']),
  text('title', 'Where to?', 'h3'),
  { id: 'cities', component: 'Row', children: cities },
  ...cities.flatMap((city) => [
    { id: city, component: 'Button', child: `${city} label`, action: { event: { name: 'go' } } },
    text(`${city} label`, city),
  ]),
]);

/** Components that only the daemon's own catalog has. */
const extended = surface('extended', EXTENDED, [
  column('root', ['title', 'badge', 'spacer', 'size']),
  text('title', 'An order', 'h3'),
  { id: 'badge', component: 'Badge', text: 'Paid', tone: 'success' },
  { id: 'spacer', component: 'Spacer', size: 'l' },
  {
    id: 'size',
    component: 'Select',
    label: 'Size',
    value: 'm',
    options: [{ label: 'Medium', value: 'm' }, { label: 'Large', value: 'l' }],
  },
]);

const examples = process.argv[2];
const { CARPORT_URL: url, CARPORT_AGENT_ID: agent_id, CARPORT_AGENT_TOKEN: token } = process.env;
let count = 0;
const onEvent = (_, { kind, result }) => {
  if (kind === 'a2ui.action') answer(result.action).catch(fail);
};
const daemon = await Connection.open(url, { token, agent_id }, { Socket: WebSocket, onEvent });
const apply = (envelope) => daemon.call('a2ui.apply', { envelope, lean: true });

/** Shows which action it heard, and with what. */
async function answer({ name, surfaceId, sourceComponentId, context }) {
  count += 1;
  const show = (path, value) =>
    apply({ version: 'v0.9', updateDataModel: { surfaceId: 'answers', path, value } });
  await show('/context', JSON.stringify(context));
  if (name === 'button_clicked') {
    const components = [text('title', `You clicked, says the agent: ${count}`)];
    await apply({ version: 'v0.9', updateComponents: { surfaceId, components } });
  }
  await show('/answer', `${count}: ${name} from ${sourceComponentId} of ${surfaceId}`);
}

function fail(error) {
  console.error(error.message, JSON.stringify(error.data ?? {}));
  process.exit(1);
}

/** Draws all without waiting in between, after what an earlier life of this agent drew is gone. */
async function draw() {
  await daemon.call('a2ui/subscribe', { lean: true });
  const old = await daemon.call('a2ui.surfaces');
  const gone = old.map(({ surfaceId }) => ({ version: 'v0.9', deleteSurface: { surfaceId } }));
  const files = readdirSync(examples).filter((it) => it.endsWith('.json')).sort();
  const drawn = files.flatMap((it) => JSON.parse(readFileSync(join(examples, it), 'utf8')).messages);
  await Promise.all([...gone, ...drawn, ...wide, ...extended, ...answers].map(apply));
}

await draw().catch(fail);
console.log('everything is drawn');
await daemon.closed;
