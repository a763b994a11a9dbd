"""A tool client in a process of its own, from Python's standard library alone.

    tool_client.py ADDRESS TOKEN_FILE round    proposes, verifies, waits for a person, executes, reads the journal
    tool_client.py ADDRESS TOKEN_FILE hang     submits a proposal and never answers its tool call

It speaks WebSocket itself, and prints what happens as JSON, one object a line; `step` names it.
"""

import base64
import hashlib
import json
import os
import signal
import socket
import struct
import sys

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FRAGMENT = 700  # Longer messages are sent in pieces of so many bytes.


class WebSocket:
    """A client's end of a WebSocket (RFC 6455) over TCP."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.pings, self.pongs = 0, []
        self.handshake(address)

    def handshake(self, address):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET / HTTP/1.1",
            f"Host: {address}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *headers = head.decode().split("\r\n")
        if " 101 " not in status:
            raise ConnectionError(f"no upgrade: {status}")
        proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        pairs = (line.split(": ", 1) for line in headers)
        named = {name.lower(): value for name, value in pairs}
        if named.get("sec-websocket-accept") != base64.b64encode(proof).decode():
            raise ConnectionError("the upgrade does not prove that the key was read")

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the daemon hung up")
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send_frame(self, last, opcode, payload):
        mask = os.urandom(4)
        head = bytes([(0x80 if last else 0) | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(head + mask + masked)

    def send(self, text):
        """Sends a text, a long one in fragments with a ping between them."""
        data = text.encode()
        pieces = [data[at : at + FRAGMENT] for at in range(0, len(data), FRAGMENT)]
        for at, piece in enumerate(pieces):
            self.send_frame(at == len(pieces) - 1, TEXT if at == 0 else 0, piece)
            if at == 0 and len(pieces) > 1:
                self.send_frame(True, PING, b"between fragments")

    def frame(self):
        first, second = self.take(2)
        if first & 0x70 or second & 0x80:
            raise ConnectionError("a reserved bit, or a server that masks")
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
        return bool(first & 0x80), first & 0x0F, self.take(length)

    def step(self, parts):
        """Reads one frame; a whole text message, or `None`. `parts` holds what came of one."""
        last, opcode, payload = self.frame()
        if opcode == PING:
            self.pings += 1
            self.send_frame(True, PONG, payload)
        elif opcode == PONG:
            self.pongs.append(payload.decode())
        elif opcode == CLOSE:
            raise ConnectionError(f"closed: {payload!r}")
        else:
            parts.append(payload)
            if last:
                text = b"".join(parts).decode()
                parts.clear()
                return text
        return None


class Client:
    """Calls methods and runs tools; a tool may call methods before it answers."""

    def __init__(self, address, token_file, tools):
        self.socket = WebSocket(address)
        self.parts, self.replies, self.events, self.next = [], {}, [], 0
        self.tools, self.calls = tools, []
        with open(token_file) as file:
            self.call("session.auth", {"token": file.read().strip()})

    def read(self):
        """Reads one frame and does what it asks for."""
        text = self.socket.step(self.parts)
        if text is None:
            return
        frame = json.loads(text)
        if frame.get("method") == "tools.execute":
            self.calls.append(frame["params"]["tool"])
            result = self.tools[frame["params"]["tool"]](self, frame["params"])
            self.write({"id": frame["id"], "result": result})
        elif "method" in frame:
            self.events.append(frame)
        else:
            self.replies[frame["id"]] = frame

    def write(self, members):
        self.socket.send(json.dumps({"jsonrpc": "2.0", **members}))

    def call(self, method, params):
        self.next += 1
        mine = self.next
        self.write({"id": mine, "method": method, "params": params})
        while mine not in self.replies:
            self.read()
        reply = self.replies.pop(mine)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def event(self, wanted):
        """Waits for a notification."""
        while True:
            for event in self.events:
                if wanted(event):
                    return event
            self.read()


def say(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


NOTES = "Ship it on Monday. " * 200

SCHEMAS = [
    {
        "name": "read_notes",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
        },
        "returns": {"type": "object", "required": ["text"]},
    },
    {"name": "summarize"},
    {"name": "deploy"},
]


def read_notes(_client, _call):
    return {"text": NOTES}


def summarize(client, call):
    """Calls a method on the same connection before it answers."""
    client.call("state.set", {"key": "summarized", "value": True})
    return call["parameters"]["text"][:18]


def deploy(client, call):
    """So slow that the daemon asks whether this client is still there."""
    heard = client.socket.pings
    while client.socket.pings == heard:
        client.read()
    return {"url": f"https://example.com/{call['parameters']['version']}"}


ROUND = {
    "id": "p-round",
    "source": "tool_client",
    "actions": [
        {"id": "read", "type": "tool_call", "tool": "read_notes", "parameters": {"path": "notes.txt"}},
        {
            "id": "sum",
            "type": "tool_call",
            "tool": "summarize",
            "parameters": {"text": "$read.output.text"},
            "expected_effects": {"summary.ready": True},
        },
        {
            "id": "deploy",
            "type": "tool_call",
            "tool": "deploy",
            "parameters": {"version": "1.2", "api_key": "sesame-of-the-round"},
            "state_dependencies": ["summary.ready"],
            "preconditions": [{"key": "summarized", "value": True}],
        },
        {
            "id": "note",
            "type": "state_write",
            "parameters": {"key": "deployed", "value": "$deploy.output.url"},
        },
    ],
}


def play_round(client):
    ready = client.call("session.init", {"tools": SCHEMAS})
    say("ready", client_id=ready["session_id"], tools=ready["tools_registered"])
    client.call("events.chain.enable", {})
    client.call("host.subscribe", {})
    say("verified", as_it_is=client.call("verify", {"proposal": ROUND}),
        once_summarized=client.call("verify", {"proposal": ROUND, "initial_state": {"summarized": True}}))
    (decision,) = client.call("permission.pending", {"proposal": ROUND})["pending"]
    refused = client.call("proposal.submit", {"proposal": ROUND})
    say("refused", decision=decision, result=refused, calls=list(client.calls),
        state=client.call("state.snapshot", {}))

    def resolved(event):
        approval = event["params"].get("payload", {}).get("approval", {})
        mine = approval.get("context", {}).get("fingerprint") == decision["fingerprint"]
        return mine and event["params"]["kind"] == "approval.resolved"

    approval = client.event(resolved)["params"]["payload"]["approval"]
    # The decision counts once it is in the ledger, which the event need not wait for.
    while client.call("permission.pending", {"proposal": ROUND})["pending"]:
        pass
    result = client.call("proposal.submit", {"proposal": ROUND})
    say("executed", approval=approval["status"], result=result, calls=client.calls,
        state=client.call("state.snapshot", {}), pings=client.socket.pings, pongs=client.socket.pongs)
    page = client.call("events.query", {"proposal_id": ROUND["id"]})
    say("journal", kinds=[event["kind"] for event in reversed(page["events"])],
        chain=client.call("events.chain.verify", {}), count=client.call("events.count", {}),
        summary=client.call("metrics.summary", {}))


HANGING = {
    "id": "p-hang",
    "actions": [
        {"id": "mark", "type": "state_write", "parameters": {"key": "marked", "value": "sesame-of-the-hang"}},
        {
            "id": "wait",
            "type": "tool_call",
            "tool": "read_notes",
            "parameters": {"path": "notes.txt"},
            "dependencies": ["mark"],
        },
        {"id": "after", "type": "state_read", "parameters": {"key": "marked"}, "dependencies": ["wait"]},
    ],
}


def hang(_client, call):
    say("called", client_id=call["session_id"], call=call)
    while True:
        signal.pause()


def main(address, token_file, what):
    if what == "hang":
        client = Client(address, token_file, {"read_notes": hang})
        client.call("tools.register", SCHEMAS)
        client.call("proposal.submit", {"proposal": HANGING})
    else:
        tools = {"read_notes": read_notes, "summarize": summarize, "deploy": deploy}
        play_round(Client(address, token_file, tools))


if __name__ == "__main__":
    main(*sys.argv[1:])
