// What the suite stands on: the page's files over HTTP, a daemon with an agent, and a wire that can be cut.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import net from 'node:net';
import { dirname, extname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import WebSocket from 'ws';
import { Connection } from '../rpc.js';

const here = join(dirname(fileURLToPath(import.meta.url)), '..');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2' };

/** Surfaces are untrusted: they may show pictures and sounds, and nothing of them is run. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; " +
  "img-src https: data:; media-src https:; connect-src ws://127.0.0.1:*";

/** Bundles the page into `outdir`. */
export async function bundle(outdir) {
  const lit = JSON.parse(readFileSync(join(here, 'node_modules/@a2ui/lit/package.json'), 'utf8'));
  await build({
    entryPoints: [join(here, 'page/app.js'), join(here, 'page/app.css')],
    outdir,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    loader: { '.woff2': 'file', '.woff': 'file' },
    define: { A2UI_LIT_VERSION: JSON.stringify(lit.version) },
    logLevel: 'warning',
  });
  copyFileSync(join(here, 'page/index.html'), join(outdir, 'index.html'));
}

async function listen(server, port = 0) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** Serves the files of a directory on a free port of this machine; returns the origin and the server. */
export async function serve(directory) {
  const server = createServer(({ url }, response) => {
    const name = new URL(url, 'http://localhost').pathname.slice(1) || 'index.html';
    const type = TYPES[extname(name)];
    try {
      if (!type || name.includes('/')) throw new Error('no such file');
      const body = readFileSync(join(directory, name));
      response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  const port = await listen(server);
  return { origin: `http://127.0.0.1:${port}`, close: () => (server.close(), server.closeAllConnections()) };
}

/** A daemon on a state root of its own, which it may be started on more than once. */
export class Daemon {
  constructor(binary, root, origins) {
    Object.assign(this, { binary, root });
    const allowed = `[transport]\nallowed_origins = ${JSON.stringify(origins)}\n`;
    writeFileSync(join(root, 'config.toml'), allowed);
  }

  async start() {
    const log = openSync(join(this.root, 'daemon.log'), 'a');
    const args = ['serve', '--state-root', this.root, '--bind', '127.0.0.1:0', '--log', 'warn'];
    this.child = spawn(this.binary, args, { stdio: ['ignore', 'ignore', log] });
    this.ended = once(this.child, 'exit');
    // Whatever ends the suite ends its daemon.
    const child = this.child;
    process.once('exit', () => child.exitCode === null && child.kill('SIGTERM'));
    for (const until = Date.now() + 60_000; ; ) {
      try {
        this.url = JSON.parse(this.#read('run/endpoint.json')).url;
        return;
      } catch {
        if (child.exitCode !== null || Date.now() > until) throw new Error(`the daemon does not boot: ${this.log()}`);
        await pause(25);
      }
    }
  }

  /** Ends it and waits; it ends its agents. */
  async stop() {
    if (!this.child || this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await this.ended;
  }

  #read(name) {
    return readFileSync(join(this.root, name), 'utf8');
  }

  get token() {
    return this.#read('run/auth-token').trim();
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  log() {
    const logs = ['daemon.log', 'logs/painter.stdout.log', 'logs/painter.stderr.log'];
    return logs.map((it) => {
      try {
        return `--- ${it}\n${this.#read(it)}`;
      } catch {
        return '';
      }
    }).join('');
  }

  /** Runs the command line of the daemon. */
  async command(...args) {
    const { stdout } = await promisify(execFile)(this.binary, [...args, '--state-root', this.root]);
    return stdout;
  }

  /** A client's connection to it. */
  connect(options = {}) {
    return Connection.open(this.url, { token: this.token }, { Socket: WebSocket, ...options });
  }

  /** Has it keep the agent that draws the examples. */
  async keepPainter(examples) {
    const args = [join(here, 'agent.js'), examples].flatMap((it) => ['--arg', it]);
    await this.command('agents', 'add', 'painter', '--interpreter', 'node', ...args, '--auto-start', '--start');
  }
}

/** A TCP port whose connections to a daemon can be cut. */
export class Wire {
  #sockets = new Set();
  #server = net.createServer((near) => {
    if (this.isCut) return near.destroy();
    const far = net.connect(this.port, '127.0.0.1');
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => (this.#sockets.delete(one), other.destroy()));
    }
  });

  /** `port` is the daemon's, and may change. */
  async open(port) {
    this.port = port;
    this.url = `ws://127.0.0.1:${await listen(this.#server)}`;
  }

  cut() {
    this.isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.isCut = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}

export function makeDirectory(path) {
  mkdirSync(path, { recursive: true });
  return path;
}
