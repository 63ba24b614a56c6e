#!/usr/bin/env python3
"""CPU time of a request through the gateway, beside nginx and HAProxy, in alternating rounds.

What it takes: Debian packages nginx, haproxy and wrk; a release build of lombard. Each proxy has one worker on core 1; wrk and
the backend (nginx, 256 bytes of JSON) are on core 0.

    cargo build --release -p lombard
    bench/gateway/run.py --lombard target/release/lombard --rounds 3 --seconds 5
"""

import argparse
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

TICKS = os.sysconf("SC_CLK_TCK")


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


def nginx(place, name, port, core, body):
    config = place / f"{name}.conf"
    config.write_text(
        f"worker_processes 1; worker_cpu_affinity {'01' if core == 0 else '10'}; daemon off; pid {place}/{name}.pid;\n"
        f"error_log stderr crit;\nevents {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {place}/{name}-body;\n"
        f"proxy_temp_path {place}/{name}-proxy; fastcgi_temp_path {place}/{name}-f; uwsgi_temp_path {place}/{name}-u;\n"
        f"scgi_temp_path {place}/{name}-s;\n{body}\n}}\n"
    )
    process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(place)], stderr=subprocess.DEVNULL)
    wait_for(port)
    return process


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def children(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed] or [pid]


def measure(url, headers, pids, seconds):
    before = cpu_seconds(pids)
    command = ["taskset", "-c", "0", "wrk", "-t1", "-c64", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    output = subprocess.run(command + [url], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids) - before
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    if "Non-2xx" in output:
        raise SystemExit(f"refused requests at {url}:\n{output}")
    p99 = re.search(r"99%\s+(\S+)", output).group(1)
    return used / requests * 1e6, requests / seconds, p99


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lombard", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(prefix="gateway-bench-"))
    running = []
    try:
        run(arguments, place, running)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=30)
        shutil.rmtree(place, ignore_errors=True)


def run(arguments, place, running):
    backends = []
    answer = json.dumps({"data": "x" * 240})
    for number in range(3):
        port = free_port()
        body = f"server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }}"
        running.append(nginx(place, f"backend-{number}", port, 0, body))
        backends.append(port)
    servers = " ".join(f"server 127.0.0.1:{port};" for port in backends)
    port = free_port()
    body = (
        f"upstream backend {{ {servers} keepalive 256; }}\nserver {{ listen 127.0.0.1:{port}; location / {{\n"
        'proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";\n'
        "proxy_set_header X-Request-Id $request_id; } }"
    )
    proxy = nginx(place, "proxy", port, 1, body)
    running.append(proxy)
    contenders = [("nginx, plain", f"http://127.0.0.1:{port}/orders/1", [], lambda: children(proxy.pid))]

    port = free_port()
    config = place / "haproxy.cfg"
    lines = "\n".join(f" server s{number} 127.0.0.1:{each}" for number, each in enumerate(backends))
    config.write_text(
        "global\n nbthread 1\n cpu-map 1 1\n maxconn 4096\ndefaults\n mode http\n timeout client 60s\n timeout server 60s\n"
        f" timeout connect 5s\n http-reuse always\nfrontend f\n bind 127.0.0.1:{port}\n unique-id-format %{{+X}}o%ci%cp%Ts%rt\n"
        f" unique-id-header X-Request-Id\n default_backend b\nbackend b\n balance roundrobin\n{lines}\n"
    )
    haproxy = subprocess.Popen(["taskset", "-c", "1", "haproxy", "-f", str(config)], stderr=subprocess.DEVNULL)
    running.append(haproxy)
    wait_for(port)
    contenders.append(("HAProxy, plain", f"http://127.0.0.1:{port}/orders/1", [], lambda: [haproxy.pid]))

    gateway_config = place / "lombard.toml"
    addresses = ", ".join(f'"127.0.0.1:{each}"' for each in backends)
    gateway_config.write_text(
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
        """
    )
    environment = os.environ | {"LOMBARD_CONFIG": str(gateway_config), "LOMBARD_DATA_DIR": str(place / "data")}
    up = subprocess.Popen(
        [str(arguments.lombard), "up", "--any-port"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(place / "up.log").open("w"),
    )
    running.append(up)
    state = place / "data/run/state.json"
    deadline = time.monotonic() + 60
    gateway = {}
    while time.monotonic() < deadline and not gateway.get("pid"):
        time.sleep(0.2)
        if state.exists():
            roles = json.loads(state.read_text()).get("roles", [])
            gateway = next((role for role in roles if role.get("role") == "gateway" and role.get("ready_ms")), {})
    if not gateway:
        raise SystemExit((place / "up.log").read_text())
    subprocess.run(["taskset", "-a", "-p", "-c", "1", str(gateway["pid"])], check=True, stdout=subprocess.DEVNULL)
    token = subprocess.run(
        [str(arguments.lombard), "token", "/orders"], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    base = f"http://{gateway['address']}"
    pids = lambda: [gateway["pid"]]
    contenders.append(("lombard, plain", f"{base}/plain/1", [], pids))
    contenders.append(("lombard, everything on", f"{base}/orders/1", [f"Authorization: Bearer {token}"], pids))

    results = {name: [] for name, *_ in contenders}
    for _ in range(arguments.rounds):
        for name, url, headers, of in contenders:
            results[name].append(measure(url, headers, of(), arguments.seconds))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; CPU us a request, median (min-max); requests/s; p99")
    for name, rounds in results.items():
        cpu = [each[0] for each in rounds]
        rate = statistics.median(each[1] for each in rounds)
        print(f"{name:24} {statistics.median(cpu):6.1f} ({min(cpu):.1f}-{max(cpu):.1f})  {rate:8.0f}  {rounds[-1][2]}")


if __name__ == "__main__":
    main()
