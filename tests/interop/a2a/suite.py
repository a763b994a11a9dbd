"""Drives a daemon's A2A listener with the official Python SDK: v1.0 by JSON-RPC and REST, v0.3 by JSON-RPC.

usage: suite.py URL GUARDED TOKEN; both daemons have been started with --a2a-test-executor, and the second one
lets in who has the token.
"""

import asyncio
import contextlib
import dataclasses
import functools
import json
import sys
import uuid

import httpx
from a2a.client.client import Client, ClientConfig
from a2a.client.client_factory import create_client
from a2a.client.errors import A2AClientError
from a2a.types import a2a_pb2 as a2a
from a2a.utils import errors

CARDS = {"1.0": "/.well-known/agent-card.json", "0.3": "/.well-known/agent.json"}
TRANSPORTS = [("1.0", "JSONRPC"), ("1.0", "HTTP+JSON"), ("0.3", "JSONRPC")]
ENDED = a2a.TaskState.TASK_STATE_COMPLETED


@dataclasses.dataclass
class On:
    """A daemon, and clients that speak to it in one version by one transport."""

    version: str
    binding: str
    url: str
    token: str = ""
    guarded: str = ""
    secret: str = ""
    plain: Client = None
    streaming: Client = None

    @functools.cached_property
    def http(self):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.AsyncClient(timeout=60, headers=headers)

    async def connect(self):
        for streaming in (False, True):
            config = ClientConfig(
                streaming=streaming, httpx_client=self.http, supported_protocol_bindings=[self.binding])
            client = await create_client(self.url, config, relative_card_path=CARDS[self.version])
            setattr(self, "streaming" if streaming else "plain", client)
        return self

    def asking(self, what, task, version=None, after=None, **params):
        """A request by hand: `get` or `subscribe` of a task, in this version or another one."""
        headers = {"A2A-Version": version or self.version}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        if self.binding == "HTTP+JSON":
            path = {"get": f"/tasks/{task}", "subscribe": f"/tasks/{task}:subscribe"}[what]
            return {"method": "GET", "url": self.url + path, "params": params, "headers": headers}
        names = {"get": ("GetTask", "tasks/get"), "subscribe": ("SubscribeToTask", "tasks/resubscribe")}
        method = names[what][self.version == "0.3"]
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"id": task, **params}}
        return {"method": "POST", "url": self.url + "/", "json": call, "headers": headers}

    async def ask(self, *args, **kwargs):
        """The result of a request by hand, or its error: the code, by REST the reason."""
        body = (await self.http.request(**self.asking(*args, **kwargs))).json()
        if self.binding == "HTTP+JSON":
            return body["error"]["details"][0]["reason"] if "error" in body else body
        return body["error"]["code"] if "error" in body else body["result"]

    async def events(self, *args, **kwargs):
        """The ids and the results of a stream that is asked for by hand."""
        told = []
        async with self.http.stream(**self.asking(*args, **kwargs)) as response:
            assert response.headers["content-type"].startswith("text/event-stream"), response.headers
            async for line in response.aiter_lines():
                if line.startswith("id:"):
                    number = int(line[3:])
                elif line.startswith("data:"):
                    event = json.loads(line[5:])
                    told.append((number, event.get("result", event)))
        return told


def request(message_id, text="hello", task=None, immediately=False):
    """A message of which the test executor knows by its id what to do."""
    message = a2a.Message(
        message_id=f"{message_id}-{uuid.uuid4()}", role=a2a.Role.ROLE_USER, parts=[a2a.Part(text=text)]
    )
    if task:
        message.task_id, message.context_id = task.id, task.context_id
    made = a2a.SendMessageRequest(message=message)
    made.configuration.return_immediately = immediately
    return made


async def responses(stream):
    return [response async for response in stream]


async def sent(client, *args, **kwargs):
    """The one response to a message that is not streamed."""
    (response,) = await responses(client.send_message(request(*args, **kwargs)))
    return response


async def refused(call, kind):
    """The call is refused with an error of this kind."""
    try:
        await call
    except kind:
        return
    except A2AClientError as error:
        raise AssertionError(f"refused otherwise: {error!r}") from error
    raise AssertionError(f"not refused with {kind.__name__}")


async def card(on):
    found = (await on.http.get(on.url + CARDS[on.version])).json()
    assert found["name"] == "Carport", found
    assert found["skills"], found
    interfaces = [it.protocol_version for it in (await on.plain.get_extended_agent_card(
        a2a.GetExtendedAgentCardRequest())).supported_interfaces]
    assert interfaces, interfaces


async def send(on):
    task = (await sent(on.plain, "tck-complete-task")).task
    assert task.status.state == ENDED, task
    assert task.status.message.parts[0].text == "Hello from TCK", task
    assert task.history[0].parts[0].text == "hello", task
    message = (await sent(on.plain, "tck-message-response")).message
    assert message.parts[0].text == "Direct message response", message
    rejected = (await sent(on.plain, "tck-reject-task")).task
    assert rejected.status.state == a2a.TaskState.TASK_STATE_REJECTED, rejected


async def artifacts(on):
    async def part(name):
        task = (await sent(on.plain, f"tck-artifact-{name}")).task
        return task.artifacts[0].parts[0]

    assert (await part("text")).text == "Generated text content"
    file = await part("file")
    assert (file.raw, file.filename, file.media_type) == (b"tck", "output.txt", "text/plain"), file
    assert (await part("file-url")).url == "https://example.com/output.txt"
    data = (await part("data")).data.struct_value
    assert (data["key"], data["count"]) == ("value", 42), data


async def stream(on):
    told = await responses(on.streaming.send_message(request("tck-stream-artifact-chunked")))
    kinds = [it.WhichOneof("payload") for it in told]
    assert kinds == ["task", "status_update", "artifact_update", "artifact_update", "status_update"], kinds
    chunks = [it.artifact_update for it in told if it.HasField("artifact_update")]
    assert "".join(it.artifact.parts[0].text for it in chunks) == "chunk-1 chunk-2", chunks
    assert [(it.append, it.last_chunk) for it in chunks] == [(False, False), (True, True)], chunks
    assert told[-1].status_update.status.state == ENDED, told[-1]
    direct = await responses(on.streaming.send_message(request("tck-message-response")))
    assert [it.WhichOneof("payload") for it in direct] == ["message"], direct


async def subscribe(on):
    task = (await sent(on.plain, "test-resubscribe-message-id", immediately=True)).task
    told = await responses(on.streaming.subscribe(a2a.SubscribeToTaskRequest(id=task.id)))
    assert told[0].WhichOneof("payload") == "task" and told[0].task.id == task.id, told[0]
    assert told[-1].status_update.status.state == ENDED, told[-1]


async def get(on):
    task = (await sent(on.plain, "tck-input-required")).task
    assert task.status.state == a2a.TaskState.TASK_STATE_INPUT_REQUIRED, task
    more = (await sent(on.plain, "tck-complete-task", task=task)).task
    assert (more.id, more.status.state) == (task.id, ENDED), more
    same = await on.plain.get_task(a2a.GetTaskRequest(id=task.id))
    assert same == more, (same, more)
    newest = await on.plain.get_task(a2a.GetTaskRequest(id=task.id, history_length=1))
    assert len(newest.history) == 1, newest
    await refused(on.plain.get_task(a2a.GetTaskRequest(id="none")), errors.TaskNotFoundError)


async def spelling(on):
    task = (await sent(on.plain, "tck-input-required")).task
    await sent(on.plain, "tck-complete-task", task=task)
    whole = await on.ask("get", task.id)
    assert len(whole["history"]) > 2, whole
    for length in (0, 1, 2, 100):
        camel = await on.ask("get", task.id, historyLength=length)
        assert camel == await on.ask("get", task.id, history_length=length), camel
        newest = whole["history"][-length:] if length else []
        assert camel.pop("history", []) == newest, camel
        assert camel == {name: it for name, it in whole.items() if name != "history"}, camel


async def ended(on):
    task = (await sent(on.plain, "tck-complete-task")).task
    subscribe = on.streaming.subscribe(a2a.SubscribeToTaskRequest(id=task.id))
    await refused(responses(subscribe), errors.UnsupportedOperationError)
    for client in (on.plain, on.streaming):
        more = client.send_message(request("tck-complete-task", task=task))
        await refused(responses(more), errors.UnsupportedOperationError)


async def versions(on):
    task = (await sent(on.plain, "tck-complete-task")).task
    refusal = "VERSION_NOT_SUPPORTED" if on.binding == "HTTP+JSON" else -32009
    other = "0.3" if on.version == "1.0" else "1.0"
    for version in ("99.0", "x", other):
        assert await on.ask("get", task.id, version=version) == refusal, version
    assert (await on.ask("get", task.id, version=f"{on.version}.7"))["id"] == task.id


async def resume(on):
    task = (await sent(on.plain, "tck-stream-artifact-chunked")).task
    whole = await on.ask("get", task.id)
    every = await on.events("subscribe", task.id, after=0)
    last = every[-1][0]
    assert [number for number, _ in every] == list(range(last + 1)), every
    for after in range(last):
        told = await on.events("subscribe", task.id, after=after)
        assert told[1:] == every[after + 1:], (after, told)
        number, first = told[0]
        task_then = first.get("task", first)
        assert (number, task_then["id"]) == (after, task.id), told
        made = sum(len(it["parts"]) for it in task_then.get("artifacts", []))
        made += sum("rtifact" in str(list(it)) or it.get("kind") == "artifact-update" for _, it in told[1:])
        assert made == len(whole["artifacts"][0]["parts"]), (after, told)
    refusal = "UNSUPPORTED_OPERATION" if on.binding == "HTTP+JSON" else -32004
    assert await on.ask("subscribe", task.id, after=last) == refusal


async def bearer(on):
    guarded = dataclasses.replace(on, url=on.guarded, token=on.secret)
    for token in ("", "wrong"):
        stranger = dataclasses.replace(guarded, token=token)
        response = await stranger.http.request(**stranger.asking("get", "none"))
        card = await stranger.http.get(on.guarded + CARDS[on.version])
        assert response.status_code == 401, response
        assert response.headers["www-authenticate"].startswith("Bearer"), response.headers
        assert card.status_code == 200 and "securitySchemes" in card.json(), card
        await stranger.connect()
        with contextlib.suppress(A2AClientError):
            raise AssertionError(f"let in: {await sent(stranger.plain, 'tck-complete-task')}")
    await guarded.connect()
    task = (await sent(guarded.plain, "tck-complete-task")).task
    assert task.status.state == ENDED, task
    told = await responses(guarded.streaming.send_message(request("tck-stream-001")))
    assert told[-1].status_update.status.state == ENDED, told


async def listing(on):
    if on.version == "0.3":
        return  # The SDK knows no such method of v0.3.
    context = str(uuid.uuid4())
    for _ in range(3):
        made = request("tck-complete-task")
        made.message.context_id = context
        await responses(on.plain.send_message(made))
    page = await on.plain.list_tasks(a2a.ListTasksRequest(context_id=context, page_size=2))
    assert (len(page.tasks), page.total_size, page.page_size) == (2, 3, 2), page
    rest = await on.plain.list_tasks(
        a2a.ListTasksRequest(context_id=context, page_size=2, page_token=page.next_page_token))
    assert (len(rest.tasks), rest.next_page_token) == (1, ""), rest


async def cancel(on):
    task = (await sent(on.plain, "test-resubscribe-message-id", immediately=True)).task
    cancelled = await on.plain.cancel_task(a2a.CancelTaskRequest(id=task.id))
    assert cancelled.status.state == a2a.TaskState.TASK_STATE_CANCELED, cancelled
    await refused(on.plain.cancel_task(a2a.CancelTaskRequest(id=task.id)), errors.TaskNotCancelableError)


async def push(on):
    posts = asyncio.Queue()

    async def receive(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        posts.put_nowait((head, json.loads(await reader.readexactly(length))))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    receiver = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = receiver.sockets[0].getsockname()[1]
    task = (await sent(on.plain, "tck-input-required")).task
    config = a2a.TaskPushNotificationConfig(
        task_id=task.id, id="p", url=f"http://127.0.0.1:{port}/hook", token="t0ken",
        authentication=a2a.AuthenticationInfo(scheme="Bearer", credentials="cr3dentials"))
    made = await on.plain.create_task_push_notification_config(config)
    assert (made.id, made.token, made.authentication.credentials) == ("p", "", ""), made
    one = a2a.GetTaskPushNotificationConfigRequest(task_id=task.id, id="p")
    assert (await on.plain.get_task_push_notification_config(one)).url == config.url
    every = await on.plain.list_task_push_notification_configs(
        a2a.ListTaskPushNotificationConfigsRequest(task_id=task.id))
    assert [it.id for it in every.configs] == ["p"], every
    await sent(on.plain, "tck-complete-task", task=task)
    state = None
    while state not in ("TASK_STATE_COMPLETED", "completed"):
        head, body = await asyncio.wait_for(posts.get(), 30)
        assert "authorization: bearer cr3dentials" in head and "x-a2a-notification-token: t0ken" in head, head
        assert f"a2a-version: {on.version}" in head, head
        state = body.get("statusUpdate", body)["status"]["state"]
    await on.plain.delete_task_push_notification_config(
        a2a.DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="p"))
    await refused(on.plain.get_task_push_notification_config(one), errors.TaskNotFoundError)
    receiver.close()


CASES = [
    card, send, artifacts, stream, subscribe, get, spelling, ended, versions, listing, cancel, push, resume, bearer]


async def main(url, guarded, token_file):
    with open(token_file, encoding="utf-8") as file:
        secret = file.read().strip()
    failed = 0
    for version, binding in TRANSPORTS:
        on = await On(version, binding, url, guarded=guarded, secret=secret).connect()
        for case in CASES:
            try:
                await case(on)
                print(f"ok      {version} {binding} {case.__name__}")
            except Exception as error:  # noqa: BLE001
                failed += 1
                print(f"FAILED  {version} {binding} {case.__name__}: {type(error).__name__}: {error}")
    print(f"a2a-sdk: {len(CASES) * len(TRANSPORTS)} cases, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(*sys.argv[1:])) else 0)
