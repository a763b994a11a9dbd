// JSON-RPC 2.0 over a WebSocket, as the daemon speaks it: for the page, the agent and the driver.

/** The daemon answered a call with an error. */
export class Refused extends Error {
  constructor(method, { code, message, data }) {
    super(`${method}: ${message} (${code})`);
    Object.assign(this, { code, data });
  }
}

/** The connection is gone, and with it what was asked. */
export class Closed extends Error {}

/** A connection that has proved who it is. `onEvent(method, params)` hears the daemon's notifications. */
export class Connection {
  #socket;
  #calls = new Map();
  #last = 0;

  /** `Socket` is a WebSocket class; `proof` the parameters of `session.auth`. */
  static async open(url, proof, { Socket = globalThis.WebSocket, onEvent = () => {} } = {}) {
    const connection = new Connection();
    const socket = (connection.#socket = new Socket(url));
    let opened, refused;
    const ready = new Promise((resolve, reject) => ([opened, refused] = [resolve, reject]));
    socket.onopen = opened;
    socket.onerror = () => refused(new Error(`no connection to ${url}`));
    socket.onmessage = ({ data }) => connection.#hear(JSON.parse(data), onEvent);
    connection.closed = new Promise((resolve) => {
      socket.onclose = ({ code }) => {
        for (const { reject } of connection.#calls.values()) reject(new Closed(`closed with ${code}`));
        connection.#calls.clear();
        resolve(code);
      };
    });
    await ready;
    try {
      await connection.call('session.auth', proof);
    } catch (error) {
      socket.close();
      throw error;
    }
    return connection;
  }

  #hear({ id, method, params, result, error }, onEvent) {
    if (method) return onEvent(method, params);
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error) call?.reject(new Refused(call.method, error));
    else call?.resolve(result);
  }

  call(method, params = {}) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== 1) return reject(new Closed('closed'));
      this.#calls.set(id, { method, resolve, reject });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  close() {
    this.#socket.close();
  }
}
