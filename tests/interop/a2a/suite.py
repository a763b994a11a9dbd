"""Drives a daemon's A2A listener with the official Python SDK, in v1.0 and v0.3.

usage: suite.py URL; the daemon has been started with --a2a-test-executor.
"""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client.client import ClientConfig
from a2a.client.client_factory import create_client
from a2a.client.errors import A2AClientError
from a2a.types import a2a_pb2 as a2a
from a2a.utils import errors

CARDS = {"1.0": "/.well-known/agent-card.json", "0.3": "/.well-known/agent.json"}
ENDED = a2a.TaskState.TASK_STATE_COMPLETED


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


async def card(plain, streaming, version, url):
    found = (await httpx.AsyncClient().get(url + CARDS[version])).json()
    assert found["name"] == "Carport", found
    assert found["skills"], found
    interfaces = [it.protocol_version for it in (await plain.get_extended_agent_card(
        a2a.GetExtendedAgentCardRequest())).supported_interfaces]
    assert interfaces, interfaces


async def send(plain, streaming, version, url):
    task = (await sent(plain, "tck-complete-task")).task
    assert task.status.state == ENDED, task
    assert task.status.message.parts[0].text == "Hello from TCK", task
    assert task.history[0].parts[0].text == "hello", task
    message = (await sent(plain, "tck-message-response")).message
    assert message.parts[0].text == "Direct message response", message
    rejected = (await sent(plain, "tck-reject-task")).task
    assert rejected.status.state == a2a.TaskState.TASK_STATE_REJECTED, rejected


async def artifacts(plain, streaming, version, url):
    async def part(name):
        task = (await sent(plain, f"tck-artifact-{name}")).task
        return task.artifacts[0].parts[0]

    assert (await part("text")).text == "Generated text content"
    file = await part("file")
    assert (file.raw, file.filename, file.media_type) == (b"tck", "output.txt", "text/plain"), file
    assert (await part("file-url")).url == "https://example.com/output.txt"
    data = (await part("data")).data.struct_value
    assert (data["key"], data["count"]) == ("value", 42), data


async def stream(plain, streaming, version, url):
    told = await responses(streaming.send_message(request("tck-stream-artifact-chunked")))
    kinds = [it.WhichOneof("payload") for it in told]
    assert kinds == ["task", "status_update", "artifact_update", "artifact_update", "status_update"], kinds
    chunks = [it.artifact_update for it in told if it.HasField("artifact_update")]
    assert "".join(it.artifact.parts[0].text for it in chunks) == "chunk-1 chunk-2", chunks
    assert [(it.append, it.last_chunk) for it in chunks] == [(False, False), (True, True)], chunks
    assert told[-1].status_update.status.state == ENDED, told[-1]
    direct = await responses(streaming.send_message(request("tck-message-response")))
    assert [it.WhichOneof("payload") for it in direct] == ["message"], direct


async def subscribe(plain, streaming, version, url):
    task = (await sent(plain, "test-resubscribe-message-id", immediately=True)).task
    told = await responses(streaming.subscribe(a2a.SubscribeToTaskRequest(id=task.id)))
    assert told[0].WhichOneof("payload") == "task" and told[0].task.id == task.id, told[0]
    assert told[-1].status_update.status.state == ENDED, told[-1]


async def get(plain, streaming, version, url):
    task = (await sent(plain, "tck-input-required")).task
    assert task.status.state == a2a.TaskState.TASK_STATE_INPUT_REQUIRED, task
    more = (await sent(plain, "tck-complete-task", task=task)).task
    assert (more.id, more.status.state) == (task.id, ENDED), more
    same = await plain.get_task(a2a.GetTaskRequest(id=task.id))
    assert same == more, (same, more)
    newest = await plain.get_task(a2a.GetTaskRequest(id=task.id, history_length=1))
    assert len(newest.history) == 1, newest
    await refused(plain.get_task(a2a.GetTaskRequest(id="none")), errors.TaskNotFoundError)


async def listing(plain, streaming, version, url):
    if version == "0.3":
        return  # The SDK knows no such method of v0.3.
    context = str(uuid.uuid4())
    for _ in range(3):
        made = request("tck-complete-task")
        made.message.context_id = context
        await responses(plain.send_message(made))
    page = await plain.list_tasks(a2a.ListTasksRequest(context_id=context, page_size=2))
    assert (len(page.tasks), page.total_size, page.page_size) == (2, 3, 2), page
    rest = await plain.list_tasks(
        a2a.ListTasksRequest(context_id=context, page_size=2, page_token=page.next_page_token))
    assert (len(rest.tasks), rest.next_page_token) == (1, ""), rest


async def cancel(plain, streaming, version, url):
    task = (await sent(plain, "test-resubscribe-message-id", immediately=True)).task
    cancelled = await plain.cancel_task(a2a.CancelTaskRequest(id=task.id))
    assert cancelled.status.state == a2a.TaskState.TASK_STATE_CANCELED, cancelled
    await refused(plain.cancel_task(a2a.CancelTaskRequest(id=task.id)), errors.TaskNotCancelableError)


async def push(plain, streaming, version, url):
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
    task = (await sent(plain, "tck-input-required")).task
    config = a2a.TaskPushNotificationConfig(
        task_id=task.id, id="p", url=f"http://127.0.0.1:{port}/hook", token="t0ken",
        authentication=a2a.AuthenticationInfo(scheme="Bearer", credentials="cr3dentials"))
    made = await plain.create_task_push_notification_config(config)
    assert (made.id, made.token, made.authentication.credentials) == ("p", "", ""), made
    one = a2a.GetTaskPushNotificationConfigRequest(task_id=task.id, id="p")
    assert (await plain.get_task_push_notification_config(one)).url == config.url
    every = await plain.list_task_push_notification_configs(
        a2a.ListTaskPushNotificationConfigsRequest(task_id=task.id))
    assert [it.id for it in every.configs] == ["p"], every
    await sent(plain, "tck-complete-task", task=task)
    state = None
    while state not in ("TASK_STATE_COMPLETED", "completed"):
        head, body = await asyncio.wait_for(posts.get(), 30)
        assert "authorization: bearer cr3dentials" in head and "x-a2a-notification-token: t0ken" in head, head
        assert f"a2a-version: {version}" in head, head
        state = body.get("statusUpdate", body)["status"]["state"]
    await plain.delete_task_push_notification_config(
        a2a.DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="p"))
    await refused(plain.get_task_push_notification_config(one), errors.TaskNotFoundError)
    receiver.close()


CASES = [card, send, artifacts, stream, subscribe, get, listing, cancel, push]


async def main(url):
    failed = 0
    for version, path in CARDS.items():
        clients = []
        for streaming in (False, True):
            config = ClientConfig(streaming=streaming, httpx_client=httpx.AsyncClient(timeout=60))
            clients.append(await create_client(url, config, relative_card_path=path))
        for case in CASES:
            try:
                await case(*clients, version, url)
                print(f"ok      {version} {case.__name__}")
            except Exception as error:  # noqa: BLE001
                failed += 1
                print(f"FAILED  {version} {case.__name__}: {type(error).__name__}: {error}")
    print(f"a2a-sdk: {len(CASES) * len(CARDS)} cases, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main(sys.argv[1])) else 0)
