"""The official Python SDK's server with an executor that does as the daemon's test executor does.

Prints its port and serves until its standard input ends.
"""

import asyncio
import socket
import sys

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as a2a
from starlette.applications import Starlette


class Sample(AgentExecutor):
    """Completes each task, with two chunks of an artifact if the message's id asks for them."""

    async def execute(self, context, event_queue):
        await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        if not context.message.message_id.startswith("tck-stream-artifact-chunked"):
            says = updater.new_agent_message([a2a.Part(text="Hello from TCK")])
            return await updater.complete(says)
        for text, more in (("chunk-1 ", False), ("chunk-2", True)):
            await updater.add_artifact(
                [a2a.Part(text=text)], artifact_id="tck-artifact", name="output", append=more, last_chunk=more)
        await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


async def main():
    # Only of a socket that says its protocol does asyncio know that nothing small should wait.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    interface = a2a.AgentInterface(
        url=f"http://127.0.0.1:{port}/", protocol_binding="JSONRPC", protocol_version="1.0")
    card = a2a.AgentCard(
        name="Sample", description="The SDK's server.", version="1",
        capabilities=a2a.AgentCapabilities(streaming=True), supported_interfaces=[interface],
        default_input_modes=["text/plain"], default_output_modes=["text/plain"],
        skills=[a2a.AgentSkill(id="s", name="s", description="Completes.", tags=["s"])])
    handler = DefaultRequestHandler(
        agent_executor=Sample(), task_store=InMemoryTaskStore(), agent_card=card)
    app = Starlette(routes=create_jsonrpc_routes(handler, "/"))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    print(port, flush=True)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.should_exit = True
    await serving


asyncio.run(main())
