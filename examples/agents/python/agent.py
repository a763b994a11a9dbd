"""An agent for Carport in Python, from the standard library alone.

    carport agents add clerk --interpreter python3 --arg "$PWD/examples/agents/python/agent.py" --start
    carport agents chat clerk "calc (2 + 3) * 7"

The daemon starts it with CARPORT_URL, CARPORT_AGENT_ID and CARPORT_AGENT_TOKEN. It proves who it is, answers
`agent.chat`, and records a run for each chat. It does not reconnect: when its connection ends, so does it,
and whoever supervises it starts it again.
"""

import json
import os
import queue
import sys
import threading

import work
from websocket import Closed, WebSocket

PATIENCE = 30  # Seconds for a reply of the daemon.


class Refused(Exception):
    """The daemon answered with an error."""


class Cancelled(Exception):
    """Nobody waits for the chat any more."""


class Daemon:
    """The connection: calls go out, and what comes in finds whoever waits for it."""

    def __init__(self, url):
        self.socket, self.replies = WebSocket(url), {}
        self.lock, self.last = threading.Lock(), 0

    def write(self, **members):
        self.socket.send(json.dumps({"jsonrpc": "2.0", **members}))

    def begin(self, method, params):
        with self.lock:
            self.last += 1
            mine, reply = self.last, queue.Queue(1)
            self.replies[mine] = reply
        self.write(id=mine, method=method, params=params)
        return reply

    def call(self, method, **params):
        try:
            return result(method, self.begin(method, params).get(timeout=PATIENCE))
        except queue.Empty:
            raise Refused(f"{method}: no reply within {PATIENCE} s") from None

    def step(self):
        """Reads one frame: a reply goes to its call, anything else is what comes back."""
        frame = json.loads(self.socket.receive())
        if "method" in frame:
            return frame
        with self.lock:
            reply = self.replies.pop(frame.get("id"), None)
        if reply:
            reply.put(frame)
        return None


def result(method, frame):
    if "error" in frame:
        raise Refused(f"{method}: {frame['error']['message']}")
    return frame["result"]


class Chat(threading.Thread):
    """One turn of a chat, beside others."""

    def __init__(self, daemon, ask):
        super().__init__(daemon=True)
        self.link, self.id, self.prompt = daemon, ask["session_id"], ask["prompt"]
        self.cancelled, self.decisions = threading.Event(), queue.Queue()
        self.pending = None

    def say(self, kind, **members):
        params = {"session_id": self.id, "kind": kind, **members}
        self.link.write(method="agent.chat.event", params=params)

    def run(self):
        try:
            self.say("done", text=self.recorded())
        except Cancelled:
            pass  # Whoever cancelled has the end of the chat from the daemon.
        except (ValueError, OSError, Refused) as error:
            self.say("error", error=str(error))

    def recorded(self):
        """Does the work within a run, which is closed before the chat ends."""
        todo, call = work.understand(self.prompt), self.link.call
        run_id = call("runs.start", intent=self.prompt[:200])["run_id"]
        outcome = {"status": "error", "summary": "not ended"}
        try:
            self.say("tool_call", tool=todo.tool, params=todo.params)
            text = self.do(todo)
            turn = {"tool": todo.tool, "parameters": todo.params, "output": {"text": text}}
            call("runs.record_turns", run_id=run_id, turns=[turn])
            outcome = {"status": "success", "summary": text[:200]}
            return text
        except Cancelled:
            outcome = {"status": "partial", "summary": "cancelled"}
            raise
        except (ValueError, OSError) as error:
            outcome = {"status": "failure", "summary": str(error)}
            raise
        finally:
            call("runs.complete", run_id=run_id, outcome=outcome)

    def do(self, todo):
        if todo.tool == "tick":
            return self.tick(todo.params["times"])
        if todo.tool == "delete":
            text = self.delete(todo.params["file"])
        elif todo.tool == "calc":
            text = str(work.calc(todo.params["expression"]))
        else:
            text = work.count(todo.params["text"])
        for at, word in enumerate(text.split(" ")):
            self.say("token", delta=word if at == 0 else f" {word}")
        return text

    def tick(self, times):
        said = []
        for number in range(1, times + 1):
            said.append(f"{number} ")
            self.say("token", delta=said[-1])
            if self.cancelled.wait(0.1):
                raise Cancelled
        return "".join(said)

    def delete(self, name):
        """Deletes a file of the working directory, if the person says yes."""
        if not work.is_own(name):
            raise ValueError("only files of its own directory")
        if not self.is_approved("delete", name):
            return f"{name} stays"
        os.remove(name)
        return f"{name} is deleted"

    def is_approved(self, action, details):
        self.pending = f"{self.id}-{action}"
        self.say("approval_pending", approval_id=self.pending, action=action, details=details)
        while not self.cancelled.is_set():
            try:
                return self.decisions.get(timeout=0.1)
            except queue.Empty:
                continue
        raise Cancelled

    def decide(self, params):
        known = self.pending is not None and params["approval_id"] == self.pending
        if known:
            yes = params["decision"] in (True, "approve", "approved", "yes")
            self.pending = None
            self.decisions.put(yes)
        return known


def attend(daemon):
    """Takes what the daemon asks for, until the connection ends."""
    chats = {}
    while True:
        frame = daemon.step()
        if frame is None:
            continue
        method, params = frame["method"], frame.get("params", {})
        chats = {id: chat for id, chat in chats.items() if chat.is_alive()}
        chat = chats.get(params.get("session_id"))
        if method == "agent.chat":
            daemon.write(id=frame["id"], result={"accepted": True})
            print(f"chat {params['session_id']}", flush=True)
            chats[params["session_id"]] = chat = Chat(daemon, params)
            chat.start()
        elif method == "agent.chat.approve":
            daemon.write(id=frame["id"], result={"resolved": bool(chat and chat.decide(params))})
        elif method == "agent.chat.cancel":
            if chat:
                chat.cancelled.set()
        elif "id" in frame:
            error = {"code": -32601, "message": f"this agent does not serve `{method}`"}
            daemon.write(id=frame["id"], error=error)


def main():
    url, agent_id, token = (os.environ[f"CARPORT_{name}"] for name in ("URL", "AGENT_ID", "AGENT_TOKEN"))
    daemon = Daemon(url)
    proved = daemon.begin("session.auth", {"token": token, "agent_id": agent_id})
    while proved.empty():
        daemon.step()  # Nothing but this reply comes before it.
    result("session.auth", proved.get())
    print(f"attached as {agent_id}", flush=True)
    attend(daemon)


if __name__ == "__main__":
    try:
        main()
    except KeyError as missing:
        sys.exit(f"{missing} is not set: this agent is started by `carport agents start`")
    except (Closed, Refused, OSError) as error:
        sys.exit(f"{error}")
