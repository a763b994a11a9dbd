// Draws surfaces of a real daemon in a browser, with the official renderer, and compares them with what should be.
//
//   node tests/web/driver/suite.js CARPORT CHROMIUM EXAMPLES OUTPUT [--serve]

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Browser } from './browser.js';
import { actions, drawing, lateJoiner, openings, reconnecting, reports, restart, strangers } from './cases.js';
import { bundle, Daemon, makeDirectory, serve, Wire } from './world.js';

const [binary, chromium, examples, output] = process.argv.slice(2, 6).map((it) => resolve(it));
const isServing = process.argv.includes('--serve');

/** The surfaces that the examples make: `{ name, surfaceId, components }`, these as the last message has them. */
function surfacesOf(directory) {
  const files = readdirSync(directory).filter((it) => it.endsWith('.json')).sort();
  return files.map((file) => {
    const { messages } = JSON.parse(readFileSync(join(directory, file), 'utf8'));
    const { surfaceId } = messages.find((it) => it.createSurface).createSurface;
    const sent = messages.flatMap((it) => it.updateComponents?.components ?? []);
    const components = [...new Map(sent.map((it) => [it.id, it])).values()];
    return { name: file.replace('.json', ''), surfaceId, components };
  });
}

/** Counts what passed and what did not. */
class Tally {
  passed = 0;
  failed = 0;
  #began = Date.now();

  note(name, faults) {
    if (!faults.length) return (this.passed += 1);
    this.failed += 1;
    console.log(`FAILED ${name}\n${faults.slice(0, 12).map((it) => `  ${it}`).join('\n')}`);
  }

  async run(name, test) {
    try {
      this.note(name, (await test()) ?? []);
    } catch (error) {
      this.note(name, [error.stack ?? String(error)]);
    }
    console.log(`${((Date.now() - this.#began) / 1000).toFixed(1).padStart(5)} s  ${name}`);
  }
}

const root = mkdtempSync(join(tmpdir(), 'carport-web-'));
const files = makeDirectory(join(output, 'page'));
await bundle(files);
const [site, stranger] = [await serve(files), await serve(files)];
const daemon = new Daemon(binary, root, [site.origin]);
const wire = new Wire();
let browser;

/** Ends whatever was started, in the reverse order, and nothing else. */
async function end() {
  await browser?.close();
  wire.close();
  await daemon.stop();
  site.close();
  stranger.close();
  rmSync(root, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end().then(() => process.exit(130)));

async function suite() {
  browser = await Browser.launch(chromium);
  console.log(`Chromium ${browser.version}`);
  await wire.open(daemon.port);
  const tally = new Tally();
  const settings = () => ({ url: wire.url, token: daemon.token });
  const world = { tally, browser, daemon, wire, site, stranger, settings, output, examples, surfaces: surfacesOf(examples) };
  for (const test of [strangers, drawing, lateJoiner, openings, actions, reconnecting, restart, reports]) {
    await test(world);
  }
  if (tally.failed) console.log(daemon.log());
  console.log(`Pictures: ${output}`);
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed ? 1 : 0;
}

/** Leaves everything running for a person's own browser. */
async function stay() {
  await daemon.keepPainter(examples);
  const settings = new URLSearchParams({ url: daemon.url, token: daemon.token, reports: 'on' });
  console.log(`Open ${site.origin}/#${settings}\nInterrupt to end.`);
  await new Promise(() => {});
}

let code = 1;
try {
  await daemon.start();
  code = await (isServing ? stay() : suite());
} catch (error) {
  console.error(error);
  console.error(daemon.log());
} finally {
  await end();
}
process.exit(code);
