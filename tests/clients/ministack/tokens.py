"""Tokens at every door: those that the deployed user pool mints, and those minted by hand."""

import base64
import http.server
import json
import threading
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from emulator import request

PASSWORD = "Correct-horse-9-battery"
ISSUER = "https://id.example"
AUDIENCE = "web"


class Pool:
    """The user pool of the stack."""

    def __init__(self, stack):
        self.cognito = stack.client("cognito-idp")
        self.id, self.client = stack.outputs["UserPoolId"], stack.outputs["UserPoolClientId"]
        other = self.cognito.create_user_pool_client(
            UserPoolId=self.id, ClientName="other", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        )
        self.other = other["UserPoolClient"]["ClientId"]
        foreign = self.cognito.create_user_pool(PoolName="foreign")["UserPool"]["Id"]
        self.foreign = foreign, self.cognito.create_user_pool_client(
            UserPoolId=foreign, ClientName="foreign", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        )["UserPoolClient"]["ClientId"]
        self.known = set()

    def sign_in(self, name, groups, client=None, pool=None):
        """The id, access and refresh token of a person in these groups."""
        pool = pool or self.id
        mail = f"{name}@example.com"
        if (pool, name) not in self.known:
            self.known.add((pool, name))
            self.cognito.admin_create_user(UserPoolId=pool, Username=mail, MessageAction="SUPPRESS")
            self.cognito.admin_set_user_password(UserPoolId=pool, Username=mail, Password=PASSWORD, Permanent=True)
            for group in groups:
                self.cognito.admin_add_user_to_group(UserPoolId=pool, Username=mail, GroupName=group)
        answer = self.cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client or self.client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": mail, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        return {"id": answer["IdToken"], "access": answer["AccessToken"], "refresh": answer.get("RefreshToken", "none")}


class Hand:
    """A provider of our own, on loopback, whose tokens can be anything."""

    def __init__(self):
        self.keys = {"one": self.key(), "two": self.key()}
        self.published = ["one"]
        hand = self

        class Keys(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps({"keys": [hand.jwk(name) for name in hand.published]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()

    @staticmethod
    def key():
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self, name):
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[name].public_key()))
        return {**found, "kid": name, "alg": "RS256", "use": "sig"}

    def configuration(self):
        """The second provider of the node."""
        return f"""
[[auth.oidc]]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
owner_prefix = "hand|"
jwks_url = "http://127.0.0.1:{self.server.server_port}/keys"
groups = {{ viewers = ["viewer"], submitters = ["submitter"], operators = ["operator"] }}
"""

    def mint(self, key="one", header=None, algorithm="RS256", **claims):
        """A valid access token with some claims replaced; a claim of None is left out."""
        now = int(time.time())
        all_claims = {
            "iss": ISSUER,
            "sub": "hal",
            "token_use": "access",
            "client_id": AUDIENCE,
            "cognito:groups": ["submitters"],
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        all_claims = {name: value for name, value in all_claims.items() if value is not None}
        key_of = self.keys[key] if algorithm == "RS256" else None
        if algorithm == "HS256":
            public = self.keys[key].public_key()
            der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            key_of = base64.b64encode(der)
        return jwt.encode(all_claims, key_of, algorithm=algorithm, headers={"kid": key, **(header or {})})


LIST = {"query": "{ listJobs { items { id } } }"}
SUBMIT = {
    "query": "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }",
    "variables": {"input": {"type": "approval", "input": json.dumps({"subject": "s", "approver": "a"})}},
}


def answered(url, body, headers):
    """Status and body, once the server does not ask to come back later for wrong credentials."""
    deadline = time.monotonic() + 60
    while (found := request(url, body, headers))[0] == 429 and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def over_http(url, token, body):
    """valid, forbidden or refused, by the answer of GraphQL over HTTP."""
    return verdict(*answered(f"{url}/graphql", body, {"authorization": f"Bearer {token}"}))


def verdict(status, text):
    try:
        found = json.loads(text)
    except ValueError:
        found = {}
    kinds = {one.get("errorType") or one.get("extensions", {}).get("errorType") for one in found.get("errors") or []}
    if status == 401 or kinds & {"UnauthorizedException", "Unauthenticated"}:
        return "refused"
    if kinds & {"Unauthorized", "Forbidden"}:
        return "forbidden"
    assert status == 200 and not kinds, f"{status} {text}"
    return "valid"


def over_events(url, token, body):
    """The same over server-sent events."""
    status, text = answered(
        f"{url}/graphql", body, {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
    )
    if status == 200 and "data:" in text:
        text = next(line[5:] for line in text.splitlines() if line.startswith("data:") and len(line) > 6)
    return verdict(status, text)


def over_socket(url, token, body):
    """The same over graphql-transport-ws."""
    with connect(f"ws{url[4:]}/graphql", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        try:
            if json.loads(socket.recv(30))["type"] != "connection_ack":
                return "refused"
        except ConnectionClosed as closed:
            assert closed.rcvd.code in (4401, 4403), closed
            return "refused"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))
        answer = json.loads(socket.recv(30))
        payload = answer["payload"]
        return verdict(200, json.dumps(payload if answer["type"] == "next" else {"errors": payload}))


def over_appsync(url, token):
    """A subscription over AppSync's real-time protocol. The header travels in the sub-protocol, and
    again with the start: a connection with an expired token is acknowledged, as at AppSync."""
    host = url.split("//")[1]
    header = {"host": host, "Authorization": f"Bearer {token}"}
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    data = json.dumps({"query": "subscription { onJobs { kind } }", "variables": {}})
    start = {"id": "1", "type": "start", "payload": {"data": data, "extensions": {"authorization": header}}}
    protocols = ["graphql-ws", f"header-{encoded}"]
    try:
        with connect(f"ws{url[4:]}/graphql/realtime", subprotocols=protocols) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            if json.loads(socket.recv(30))["type"] != "connection_ack":
                return "refused"
            socket.send(json.dumps(start))
            while (answer := json.loads(socket.recv(30)))["type"] == "ka":
                pass
            return "valid" if answer["type"] == "start_ack" else verdict(200, json.dumps(answer["payload"]))
    except ConnectionClosed:
        return "refused"


def cases(pool, hand):
    """Name, token, what the list and a submission become."""
    now = int(time.time())
    allowed, viewer, refused = ("valid", "valid"), ("valid", "forbidden"), ("refused", "refused")
    none = ("forbidden", "forbidden")
    ann, viv, op = (pool.sign_in(name, [group]) for name, group in (("ann", "submitters"), ("viv", "viewers"), ("op", "operators")))
    nobody = pool.sign_in("nobody", [])
    other = pool.sign_in("ann", [], client=pool.other)
    foreign = pool.sign_in("ann", [], pool=pool.foreign[0], client=pool.foreign[1])
    head, body, signature = ann["access"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    promoted = base64.urlsafe_b64encode(json.dumps({**claims, "cognito:groups": ["admins"]}).encode()).decode().rstrip("=")
    return [
        ("the pool's access token", ann["access"], allowed),
        ("the pool's id token", ann["id"], allowed),
        ("the pool's refresh token", ann["refresh"], refused),
        ("an access token of a viewer", viv["access"], viewer),
        ("an id token of a viewer", viv["id"], viewer),
        ("an access token of an operator", op["access"], None),
        ("an access token without a group", nobody["access"], none),
        ("an id token without a group", nobody["id"], none),
        ("an access token of another client", other["access"], refused),
        ("an id token of another client", other["id"], refused),
        ("an access token of another pool", foreign["access"], refused),
        ("an id token of another pool", foreign["id"], refused),
        ("a promoted access token", f"{head}.{promoted}.{signature}", refused),
        ("an access token without its signature", f"{head}.{body}.", refused),
        ("by hand: an access token", hand.mint(), allowed),
        ("by hand: an id token", hand.mint(token_use="id", client_id=None, aud=AUDIENCE), allowed),
        ("by hand: an id token for a list", hand.mint(token_use="id", client_id=None, aud=["x", AUDIENCE]), allowed),
        ("by hand: neither id nor access", hand.mint(token_use=None, client_id=None, aud=AUDIENCE), allowed),
        ("by hand: neither, with client_id", hand.mint(token_use=None), allowed),
        ("by hand: an access token for a resource server", hand.mint(aud="https://api.example"), allowed),
        ("by hand: an id token with client_id only", hand.mint(token_use="id"), refused),
        ("by hand: an access token with aud only", hand.mint(client_id=None, aud=AUDIENCE), refused),
        ("by hand: an access token of another client", hand.mint(client_id="other"), refused),
        ("by hand: an access token of another client, for us", hand.mint(client_id="other", aud=AUDIENCE), refused),
        ("by hand: an id token of another client", hand.mint(token_use="id", aud="other"), refused),
        ("by hand: a refresh token", hand.mint(token_use="refresh", aud=AUDIENCE), refused),
        ("by hand: a use that is no text", hand.mint(token_use=["access"]), refused),
        ("by hand: expired", hand.mint(exp=now - 1), refused),
        ("by hand: without an expiry", hand.mint(exp=None), refused),
        ("by hand: not valid yet", hand.mint(nbf=now + 600), refused),
        ("by hand: another issuer", hand.mint(iss="https://other.example"), refused),
        ("by hand: the issuer with a slash", hand.mint(iss=ISSUER + "/"), refused),
        ("by hand: no issuer", hand.mint(iss=None), refused),
        ("by hand: no subject", hand.mint(sub=None), refused),
        ("by hand: no algorithm", hand.mint(algorithm="none"), refused),
        ("by hand: the public key as a secret", hand.mint(algorithm="HS256"), refused),
        ("by hand: a critical extension", hand.mint(header={"crit": ["exp"]}), refused),
        ("by hand: signed by a key that is not published", hand.mint(key="two", header={"kid": "one"}), refused),
        ("by hand: a viewer", hand.mint(**{"cognito:groups": ["viewers"]}), viewer),
        ("by hand: an unknown group", hand.mint(**{"cognito:groups": ["admins"]}), none),
        ("by hand: groups in another claim", hand.mint(**{"cognito:groups": None, "groups": ["submitters"]}), none),
        ("no token", "none", refused),
    ]


def prove(stack, pool, hand):
    """Every case at every door, and a rotated key."""
    doors = {"HTTP": over_http, "SSE": over_events, "WebSocket": over_socket}
    table, wrong = cases(pool, hand), []
    for name, token, expected in table:
        if expected is None:
            expected = ("valid", "forbidden")
        for door, ask in doors.items():
            found = tuple(ask(stack.public, token, body) for body in (LIST, SUBMIT))
            if found != expected:
                wrong.append(f"{door}: {name}: {found}, expected {expected}")
        found = over_appsync(stack.public, token)
        if (found == "refused") != (expected == ("refused", "refused")):
            wrong.append(f"AppSync: {name}: {found}, expected {expected}")
    assert not wrong, "\n".join(wrong)
    print(f"ok   {len(table)} tokens at {len(doors) + 1} doors of the node", flush=True)
    rotated(stack, hand)
    gateway(stack, table)


def rotated(stack, hand):
    """A token of a new key is refused until the key is published, then valid; one of a withdrawn
    key is refused once the keys were read again."""
    new = hand.mint(key="two")
    assert over_http(stack.public, new, LIST) == "refused"
    hand.published = ["two"]
    deadline = time.monotonic() + 90
    while over_http(stack.public, new, LIST) != "valid":
        assert time.monotonic() < deadline, "the new key was not read"
        time.sleep(0.5)
    assert over_http(stack.public, hand.mint(key="one"), LIST) == "refused"
    print("ok   a rotated key: the new one counts, the old one does not", flush=True)


def gateway(stack, table):
    """The HTTP API's authorizer and lambda-http, for the tokens of the pool."""
    # The emulator signs refresh tokens, and its authorizer lets them in. AWS encrypts them.
    others = ("by hand", "the pool's refresh token")
    wrong, pool_cases = [], [one for one in table if not one[0].startswith(others)]
    for name, token, expected in pool_cases:
        status, text = stack.api("POST", "/intake", b"", token)
        let_in = status not in (401, 403)
        if let_in != (expected != ("refused", "refused")):
            wrong.append(f"authorizer: {name}: {status} {text}")
    assert not wrong, "\n".join(wrong)
    print(f"ok   {len(pool_cases)} tokens of the pool at the authorizer of the HTTP API", flush=True)
