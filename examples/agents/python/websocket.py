"""A client's end of a WebSocket (RFC 6455), from the standard library alone."""

import base64
import hashlib
import os
import socket
import struct
import threading
import urllib.parse

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Closed(Exception):
    """The connection ended."""


class WebSocket:
    """Sends from any thread, receives in one."""

    def __init__(self, url):
        place = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port or 80), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sending, self.buffer = threading.Lock(), b""
        self.handshake(place)
        self.socket.settimeout(None)

    def handshake(self, place):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {place.path or '/'} HTTP/1.1",
            f"Host: {place.netloc}",
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
        named = {name.lower(): value.strip() for name, value in (it.split(":", 1) for it in headers)}
        proof = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if " 101 " not in status or named.get("sec-websocket-accept") != proof:
            raise Closed(f"no WebSocket there: {status}")

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed("the daemon hung up")
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send_frame(self, opcode, payload):
        """A client masks what it sends."""
        mask, size = os.urandom(4), len(payload)
        if size < 126:
            head = bytes([0x80 | opcode, 0x80 | size])
        elif size < 1 << 16:
            head = bytes([0x80 | opcode, 0x80 | 126]) + struct.pack(">H", size)
        else:
            head = bytes([0x80 | opcode, 0x80 | 127]) + struct.pack(">Q", size)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        with self.sending:
            self.socket.sendall(head + mask + masked)

    def send(self, text):
        self.send_frame(TEXT, text.encode())

    def frame(self):
        first, second = self.take(2)
        if first & 0x70 or second & 0x80:
            raise Closed("a reserved bit, or a server that masks")
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.take(8))
        return first & 0x80, first & 0x0F, self.take(size)

    def receive(self):
        """The next whole text, put together from its fragments; pings between them are answered."""
        parts = []
        while True:
            last, opcode, payload = self.frame()
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                self.send_frame(CLOSE, payload[:2])
                raise Closed(f"closed ({code} {payload[2:].decode()})")
            elif opcode != PONG:
                parts.append(payload)
                if last:
                    return b"".join(parts).decode()
