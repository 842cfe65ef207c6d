"""gql's transports, each on the same journey."""

import asyncio

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.appsync_auth import AppSyncApiKeyAuthentication
from gql.transport.appsync_websockets import AppSyncWebsocketsTransport
from gql.transport.exceptions import TransportError, TransportQueryError, TransportServerError
from gql.transport.websockets import WebsocketsTransport

from journey import ANSWER, CUTS, SUBMIT, WATCH, WITHIN, approval, check, yes
from server import KEY, Server


def transports(server, key):
    """Everything with which gql can subscribe, by name."""
    appsync = AppSyncApiKeyAuthentication(host=server.listen, api_key=key)
    init = {"init_payload": {"x-api-key": key}}
    modern, legacy = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL], [WebsocketsTransport.APOLLO_SUBPROTOCOL]
    return {
        "as it is": lambda: WebsocketsTransport(url=server.ws, **init),
        "as it is, over aiohttp": lambda: AIOHTTPWebsocketsTransport(url=server.ws, **init),
        "graphql-transport-ws": lambda: WebsocketsTransport(url=server.ws, subprotocols=modern, **init),
        "subscriptions-transport-ws": lambda: WebsocketsTransport(url=server.ws, subprotocols=legacy, **init),
        "AppSync": lambda: AppSyncWebsocketsTransport(url=server.ws, auth=appsync),
    }


async def run(server, document, variables):
    """A mutation, over gql's HTTP transport."""
    transport = AIOHTTPTransport(url=server.http, headers={"x-api-key": KEY})
    async with Client(transport=transport) as session:
        query = gql(document)
        query.variable_values = variables
        return await session.execute(query)


def watching(session, id):
    document = gql(WATCH)
    document.variable_values = {"id": id}
    return session.subscribe(document)


async def watched(server, name, make, submitted, waiting, breaks=0):
    """The events up to the end, over broken connections. The application resubscribes."""
    events, waited, broken = [], False, 0
    while not events or events[-1]["status"] != "SUCCEEDED":
        try:
            known = events[-1] if events else None
            async with Client(transport=make()) as session:
                async for answer in watching(session, submitted["id"]):
                    # A new connection may begin with a known version; any later repeat is an error.
                    if not known or answer["onJob"]["version"] != known["version"]:
                        events.append(answer["onJob"])
                    known = None
                    status = events[-1]["status"]
                    # With AppSync the client ends a subscription, otherwise the server does.
                    if status == "SUCCEEDED" and name == "AppSync":
                        break
                    if status == "WAITING" and not waited:
                        waited = True
                        await waiting()
        except (TransportError, OSError):
            broken += 1
            if broken > breaks and not CUTS:
                raise
            await asyncio.sleep(0.05)
    assert broken >= breaks
    return events


async def journey(server, name, make):
    submitted = (await run(server, SUBMIT, approval(name)))["submitJob"]
    events = await watched(server, name, make, submitted, lambda: run(server, ANSWER, yes(submitted["id"])))
    check(f"gql, {name}", submitted, events)


async def survives(server, name, make):
    """The server is killed while the client watches."""
    submitted = (await run(server, SUBMIT, approval(name)))["submitJob"]

    async def restart():
        server.kill()
        server.start()
        await run(server, ANSWER, yes(submitted["id"]))

    events = await watched(server, name, make, submitted, restart, breaks=1)
    check(f"gql, {name}, over kill -9 and restart", submitted, events)


async def refused(server, name, make):
    try:
        async with Client(transport=make()) as session:
            async for _ in watching(session, "019a0000-0000-7000-8000-000000000000"):
                raise AssertionError(f"{name}: a stranger got an event")
    except (TransportQueryError, TransportServerError, TransportError) as error:
        text = repr(error) + repr(error.__cause__)
        assert any(word in text for word in ("nauthorized", "not valid", "4403", "Forbidden")), f"{name}: {text}"
        print(f"ok   gql, {name}: a wrong key is refused: {error}")
        return
    raise AssertionError(f"{name}: a stranger was not refused")


async def main():
    with Server() as server:
        for name, make in transports(server, KEY).items():
            await asyncio.wait_for(journey(server, name, make), WITHIN)
            await asyncio.wait_for(survives(server, name, make), WITHIN)
        for name, make in transports(server, "da2-wrong").items():
            await asyncio.wait_for(refused(server, name, make), WITHIN)


asyncio.run(main())
