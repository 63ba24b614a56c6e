#!/usr/bin/env python3
"""Ten minutes of everything: keep-alive and new connections, TLS, HTTP/2, tokens that come and go, a changed configuration every
few seconds. Memory and file descriptors must not grow, and no request may fail. Takes what run.py takes, but no peers.

    bench/gateway/soak.py --lombard target/release/lombard --minutes 10
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

import contenders
import load
from stand import Stand, memory_mib
from tokens import Issuer

# Growth that is none: what the allocator holds back differs from one moment to the next.
MEMORY_GROWTH_MAX = 1.05
MEMORY_SLACK_MIB = 4
DESCRIPTOR_SLACK = 32
# Samples before the caches of tokens and the pools are full say nothing.
SETTLED_AFTER = 3


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def turn(bench, number):
    """Some seconds of load; the configuration changes meanwhile."""
    place, lombard, issuer = bench
    text = lombard.config.read_text().split("# turn")[0]
    more = f'# turn\n[[gateway.route]]\nname = "turn"\nprefix = "/turn-{number}"\nupstream = "orders"\nauth = "none"\n'
    lombard.config.write_text(text + more)
    fresh = load.script(place, "soak", issuer.tokens(500))
    reloading = subprocess.Popen([str(place.arguments.lombard), "gateway", "reload"], env=lombard.environment, stdout=subprocess.DEVNULL)
    load.wrk(lombard.urls["checked"], lombard.pids, 4, script=fresh)
    load.wrk(lombard.urls["plain"], lombard.pids, 2, headers=["Connection: close"], connections=16)
    load.wrk(lombard.urls["tls"], lombard.pids, 2, headers=["Connection: close"], connections=8)
    load.h2load(lombard.urls["h2-checked"], lombard.pids, 2, headers=[f"authorization: Bearer {issuer.token(number)}"])
    if reloading.wait():
        raise SystemExit("the configuration was not taken")


def soak(place):
    issuer = Issuer()
    lombard = contenders.lombard(place, "lombard", place.backends(), place.grpc_backends(), issuer)
    [pid] = lombard.pids
    end, samples = time.monotonic() + place.arguments.minutes * 60, []
    while time.monotonic() < end:
        turn((place, lombard, issuer), len(samples))
        samples.append((memory_mib(pid), descriptors(pid)))
        print(f"turn {len(samples)}: {samples[-1][0]:.1f} MiB, {samples[-1][1]} file descriptors", flush=True)
    samples = samples[SETTLED_AFTER:]
    third = len(samples) // 3
    if not third:
        raise SystemExit("too short to say anything")
    (memory, files), (memory_later, files_later) = (
        [statistics.median(each) for each in zip(*part)] for part in (samples[:third], samples[-third:])
    )
    print(f"from {memory:.1f} to {memory_later:.1f} MiB, from {files:.0f} to {files_later:.0f} file descriptors")
    return memory_later <= memory * MEMORY_GROWTH_MAX + MEMORY_SLACK_MIB and files_later <= files + DESCRIPTOR_SLACK


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lombard", required=True, type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=10)
    place = Stand(parser.parse_args())
    try:
        is_flat = soak(place)
    finally:
        place.stop()
    sys.exit(0 if is_flat else "it grows")


if __name__ == "__main__":
    main()
