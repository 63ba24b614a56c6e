"""Load on core 0, and what it cost those who bore it."""

import dataclasses
import re
import subprocess

from stand import cpu_seconds


@dataclasses.dataclass
class Measured:
    """Of one contender in one round. `cpu`: microseconds of a request; `p99` in milliseconds."""

    cpu: float
    rate: float
    p99: float
    refused: int = 0
    requests: int = 0


UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * UNITS[unit]


def wrk(url, pids, seconds, script=None, headers=(), connections=64, may_refuse=False, core="0"):
    """HTTP/1.1 from connections that wait for their answers."""
    before = cpu_seconds(pids)
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "5s"]
    command += ["-s", str(script)] if script else []
    command += [part for header in headers for part in ("-H", header)]
    said = subprocess.run([*command, url], capture_output=True, text=True)
    if said.returncode:
        raise SystemExit(f"{url}: {said.stderr}{said.stdout}")
    output = said.stdout
    used = cpu_seconds(pids) - before
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    bad = (int(refused.group(1)) if refused else 0) + sum(map(int, errors.groups()) if errors else [])
    if bad and not may_refuse:
        raise SystemExit(f"refused requests at {url}:\n{output}")
    if not requests:
        raise SystemExit(f"no request was answered in {seconds} s at {url}: the machine has too much else to do")
    p99 = milliseconds(re.search(r"99%\s+(\S+)", output).group(1))
    return Measured(used / requests * 1e6, requests / seconds, p99, bad, requests)


def h2load(url, pids, seconds, headers=(), data=None):
    """HTTP/2: 8 connections with 8 streams each."""
    before = cpu_seconds(pids)
    command = ["taskset", "-c", "0", "h2load", "-t1", "-c8", "-m8", f"-D{seconds}"]
    command += [part for header in headers for part in ("-H", header)]
    command += ["-d", str(data)] if data else []
    said = subprocess.run([*command, url], capture_output=True, text=True)
    if said.returncode:
        raise SystemExit(f"{url}: {said.stderr}{said.stdout}")
    output = said.stdout
    used = cpu_seconds(pids) - before
    good = int(re.search(r"status codes: (\d+) 2xx", output).group(1))
    bad = re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output).groups()
    if any(map(int, bad)) or not good:
        raise SystemExit(f"refused requests at {url}:\n{output}")
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+(\S+)", output).group(1)
    return Measured(used / good * 1e6, good / seconds, milliseconds(mean), 0, good)


def script(place, name, tokens):
    """What wrk sends: the same request with one token after the other."""
    listed = place.file(f"{name}.tokens", "\n".join(tokens) + "\n")
    return place.file(
        f"{name}.lua",
        f"""
        local requests, at = {{}}, 0
        function init()
          for token in io.lines("{listed}") do
            requests[#requests + 1] = wrk.format(nil, nil, {{ Authorization = "Bearer " .. token }})
          end
        end
        function request()
          at = at % #requests + 1
          return requests[at]
        end
        """,
    )
