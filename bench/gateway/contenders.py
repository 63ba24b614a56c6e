"""The gateway and its peers, each with one worker on core 1: who serves what where, and whose time counts."""

import dataclasses
import json
import os
import pathlib
import subprocess
import time

import stand
from tokens import AUDIENCE, ISSUER


@dataclasses.dataclass
class Contender:
    """`urls`: by what is asked of it: plain, checked (tokens), tls, h2, h2-checked, grpc, routes."""

    name: str
    pids: list
    urls: dict
    # Of the gateway: its file, and what its commands find the platform with.
    config: pathlib.Path | None = None
    environment: dict | None = None


def nginx(place, backends):
    plain, h2, tls = (stand.free_port() for _ in range(3))
    key, certificate, _ = place.certificate()
    servers = " ".join(f"server 127.0.0.1:{backend};" for backend in backends)
    pids = place.nginx(
        "proxy",
        plain,
        1,
        f"upstream backend {{ {servers} keepalive 256; }}\nserver {{ listen 127.0.0.1:{plain};\n"
        f"listen 127.0.0.1:{h2} http2; listen 127.0.0.1:{tls} ssl;\n"
        f"ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;\n"
        'location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";\n'
        "proxy_set_header X-Request-Id $request_id; } }",
    )
    urls = {"plain": f"http://127.0.0.1:{plain}/plain/1", "h2": f"http://127.0.0.1:{h2}/plain/1", "tls": f"https://127.0.0.1:{tls}/plain/1"}
    return Contender("nginx", pids, urls)


def haproxy(place, backends, issuer):
    plain, checked = stand.free_port(), stand.free_port()
    lines = "\n".join(f" server s{number} 127.0.0.1:{port}" for number, port in enumerate(backends))
    key = place.file("issuer.pem", issuer.pem())
    config = place.file(
        "haproxy.cfg",
        "global\n nbthread 1\n maxconn 4096\ndefaults\n mode http\n timeout client 60s\n timeout server 60s\n"
        " timeout connect 5s\n http-reuse always\n unique-id-format %{+X}o%ci%cp%Ts%rt\n unique-id-header X-Request-Id\n"
        f"frontend plain\n bind 127.0.0.1:{plain}\n default_backend b\n"
        f"frontend checked\n bind 127.0.0.1:{checked}\n"
        " http-request set-var(txn.bearer) http_auth_bearer\n"
        f" http-request deny unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {ISSUER} }}\n"
        f' http-request deny unless {{ var(txn.bearer),jwt_verify("ES256","{key}") 1 }}\n'
        f" default_backend b\nbackend b\n balance roundrobin\n{lines}\n",
    )
    process = place.start(["haproxy", "-f", config], 1, stderr=subprocess.DEVNULL)
    stand.wait_for(plain)
    plain, checked = (f"http://127.0.0.1:{port}/orders/1" for port in (plain, checked))
    return Contender("HAProxy", [process.pid], {"plain": plain, "h2": plain, "checked": checked, "h2-checked": checked})


def envoy(place, backends, grpc_backends, issuer):
    kinds = {kind: stand.free_port() for kind in ("plain", "checked", "grpc")}
    typed = "type.googleapis.com/envoy.extensions.filters"
    router = {"name": "router", "typed_config": {"@type": f"{typed}.http.router.v3.Router"}}
    provider = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": issuer.jwks()},
        "jwt_cache_config": {"jwt_cache_size": 1000},
        "forward": True,
    }
    jwt = {
        "name": "jwt",
        "typed_config": {
            "@type": f"{typed}.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"p": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
        },
    }

    def listener(kind, filters, cluster):
        route = {"match": {"prefix": "/"}, "route": {"cluster": cluster}}
        manager = {
            "@type": f"{typed}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": kind,
            "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
            "http_filters": [*filters, router],
        }
        address = {"socket_address": {"address": "127.0.0.1", "port_value": kinds[kind]}}
        return {"address": address, "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}

    def cluster(name, ports, more):
        endpoints = [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports]
        assigned = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
        return {"name": name, "connect_timeout": "5s", "type": "STATIC", "load_assignment": assigned, **more}

    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    h2 = {"@type": f"type.googleapis.com/{options}", "explicit_http_config": {"http2_protocol_options": {}}}
    resources = {
        "listeners": [listener("plain", [], "b"), listener("checked", [jwt], "b"), listener("grpc", [jwt], "g")],
        "clusters": [cluster("b", backends, {}), cluster("g", grpc_backends, {"typed_extension_protocol_options": {options: h2}})],
    }
    config = place.file("envoy.json", json.dumps({"static_resources": resources}))
    command = [place.arguments.envoy, "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "critical"]
    process = place.start(command, 1, stderr=subprocess.DEVNULL)
    for port in kinds.values():
        stand.wait_for(port)
    urls = {kind: f"http://127.0.0.1:{port}/orders/1" for kind, port in kinds.items()}
    urls["grpc"] = f"http://127.0.0.1:{kinds['grpc']}/orders.Orders/Get"
    return Contender("Envoy", [process.pid], urls | {"h2": urls["plain"], "h2-checked": urls["checked"]})


ROUTES = """
[[gateway.route]]
name = "orders"
prefix = "/orders"
upstream = "orders"
issuers = ["bench"]
audience = "{audience}"
scopes = ["orders:read"]
limits = [{{ by = "client", requests = 1000000, per = "second" }}]
[[gateway.route]]
name = "calls"
prefix = "/orders.Orders"
upstream = "calls"
issuers = ["bench"]
audience = "{audience}"
scopes = ["orders:read"]
limits = [{{ by = "client", requests = 1000000, per = "second" }}]
[[gateway.route]]
name = "plain"
prefix = "/plain"
upstream = "orders"
auth = "none"
"""


def lombard(place, name, backends, grpc_backends, issuer, workers=1, cores="1"):
    """The whole platform; what counts is the gateway's process."""
    key, certificate, _ = place.certificate()
    jwks = place.file("jwks.json", issuer.jwks())
    addresses, calls = ([f"127.0.0.1:{port}" for port in ports] for ports in (backends, grpc_backends))
    config = place.file(
        f"{name}.toml",
        f"""
        [gateway]
        workers = {workers}
        connections_max = 25000
        tls_listen = "127.0.0.1:0"
        [[gateway.certificate]]
        names = ["localhost"]
        certificate_file = "{certificate}"
        key_file = "{key}"
        [[gateway.issuer]]
        name = "bench"
        issuer = "{ISSUER}"
        jwks_file = "{jwks}"
        [[gateway.upstream]]
        name = "orders"
        addresses = {json.dumps(addresses)}
        [[gateway.upstream]]
        name = "calls"
        protocol = "http2"
        addresses = {json.dumps(calls)}
        """
        + ROUTES.format(audience=AUDIENCE),
    )
    data = place.place / f"{name}-data"
    environment = os.environ | {"LOMBARD_CONFIG": str(config), "LOMBARD_DATA_DIR": str(data)}
    with (place.place / f"{name}.log").open("w") as log:
        command = [str(place.arguments.lombard), "up", "--any-port"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
    place.running.append(process)
    role = gateway_role(data, place.place / f"{name}.log")
    subprocess.run(["taskset", "-a", "-p", "-c", cores, str(role["pid"])], check=True, stdout=subprocess.DEVNULL)
    base = f"http://{role['address']}"
    plain, checked = f"{base}/plain/1", f"{base}/orders/1"
    urls = {
        "plain": plain,
        "checked": checked,
        "h2": plain,
        "h2-checked": checked,
        "tls": f"https://{role['tls_address']}/plain/1",
        "grpc": f"{base}/orders.Orders/Get",
        "routes": f"{base}/r5000/items/1",
    }
    return Contender(name, [role["pid"]], urls, config, environment)


def gateway_role(data, log):
    state = data / "run/state.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if state.exists():
            roles = json.loads(state.read_text()).get("roles", [])
            ready = [role for role in roles if role.get("role") == "gateway" and role.get("ready_ms")]
            if ready:
                return ready[0]
    raise SystemExit(log.read_text())
