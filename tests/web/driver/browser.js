// Pages in Chromium, and everything that they complain about.

import { chromium } from 'playwright-core';

const picture = `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200">
  <rect width="300" height="200" fill="#9bd"/><path d="M0 200 110 70l70 80 40-45 80 95z" fill="#486"/></svg>`;

/** A second of silence, as WAV with 8 bits and 8 kHz. */
function silence() {
  const data = Buffer.alloc(8000, 128);
  const head = Buffer.alloc(44);
  head.write('RIFF');
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  [[16, 16], [8000, 24], [8000, 28]].forEach(([value, at]) => head.writeUInt32LE(value, at));
  [[1, 20], [1, 22], [1, 32], [8, 34]].forEach(([value, at]) => head.writeUInt16LE(value, at));
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

/** The examples name pictures and sounds of the open network: the suite has its own in their places. */
function replaceMedia(route) {
  const kind = route.request().resourceType();
  if (kind === 'image') return route.fulfill({ contentType: 'image/svg+xml', body: picture });
  return route.fulfill({ contentType: 'audio/wav', body: silence() });
}

export class Browser {
  #browser;

  static async launch(executablePath) {
    const browser = new Browser();
    // Chromium's sandbox refuses to run for the superuser.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser.#browser = await chromium.launch({ executablePath, args });
    return browser;
  }

  get version() {
    return this.#browser.version();
  }

  /** Opens the page at a width; `tolerated` are complaints that its test expects. */
  async open(origin, settings, { width = 800, height = 1000, tolerated = [] } = {}) {
    const viewport = { width, height };
    const context = await this.#browser.newContext({ viewport, locale: 'en-US', timezoneId: 'UTC' });
    await context.route(/^https:/, replaceMedia);
    const page = await context.newPage();
    const complaints = [];
    const complain = (text) => {
      if (!tolerated.some((it) => it.test(text))) complaints.push(text);
    };
    const early = {};
    page.on('console', (it) => {
      const [, id] = it.text().match(/^surface (.*), before its data: /) ?? [];
      if (id) early[id] = (early[id] ?? 0) + 1;
      if (['error', 'warning', 'assert'].includes(it.type())) complain(`${it.type()}: ${it.text()}`);
    });
    page.on('pageerror', (error) => complain(`exception: ${error.stack ?? error}`));
    page.on('crash', () => complain('the page crashed'));
    await page.goto(`${origin}/#${new URLSearchParams(settings)}`);
    return new Screen(page, complaints, early);
  }

  close() {
    return this.#browser?.close();
  }
}

/** One page with the surfaces of a daemon. */
export class Screen {
  /** `early` counts, by surface, complaints of functions whose data had not come yet. */
  constructor(page, complaints, early) {
    Object.assign(this, { page, complaints, early });
  }

  drawn() {
    return this.page.evaluate(() => window.carport.painted().then(() => window.carport.drawn()));
  }

  markup() {
    return this.page.evaluate(() => window.carport.painted().then(() => window.carport.markup()));
  }

  state() {
    return this.page.evaluate(() => window.carport.state());
  }

  decisions() {
    return this.page.evaluate(() => window.carport.decisions);
  }

  surface(id) {
    return this.page.locator(`section[data-surface="${id}"]`);
  }

  /** What is clicked or typed into of a component: `inner` is a selector within its element. */
  async part(surfaceId, { id, path }, inner) {
    const find = ([surfaceId, id, path, inner]) => {
      const { element } = window.carport.components(surfaceId).find((it) => it.id === id && it.path === path);
      return element.querySelector(inner);
    };
    const handle = await this.page.evaluateHandle(find, [surfaceId, id, path, inner]);
    return handle.asElement();
  }

  /** A picture of a surface. */
  shot(id, path) {
    return this.surface(id).screenshot({ path });
  }

  close() {
    return this.page.context().close();
  }
}
