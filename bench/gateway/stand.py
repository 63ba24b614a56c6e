"""What a measurement runs: programs with a core each, their files, and their CPU time."""

import json
import os
import pathlib
import shutil
import socket
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


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def children(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed] or [pid]


class Stand:
    """Programs and files, until `stop`."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="gateway-bench-"))
        self.running = []

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

    def certificate(self):
        """A self-signed certificate with a key on P-256, as most servers have now: both files, and one with both."""
        key, certificate, both = (self.place / name for name in ("key.pem", "certificate.pem", "both.pem"))
        if not both.exists():
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
            subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
            both.write_text(certificate.read_text() + key.read_text())
        return key, certificate, both

    def nginx(self, name, port, core, body):
        """A server of nginx with one worker; its processes."""
        temporary = "".join(
            f"{kind}_temp_path {self.place}/{name}-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = self.file(
            f"{name}.conf",
            f"worker_processes 1; daemon off; pid {self.place}/{name}.pid;\nerror_log stderr crit;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; keepalive_requests 1000000000; http2_max_requests 1000000000;\n{temporary}{body}\n}}\n",
        )
        process = self.start(["nginx", "-c", config, "-p", self.place], core, stderr=subprocess.DEVNULL)
        wait_for(port)
        return [*children(process.pid)]

    def backends(self, count=3):
        """Instances that answer 256 bytes of JSON, by port: their processes.."""
        answer = json.dumps({"data": "x" * 240})
        backends = {}
        for number in range(count):
            port = free_port()
            listen = (
                f"server {{ listen 127.0.0.1:{port}; default_type application/json;\n"
                f"location / {{ return 200 '{answer}'; }} }}"
            )
            backends[port] = self.nginx(f"backend-{number}", port, 0, listen)
        return backends

    def grpc_backends(self, count=3):
        """Instances that answer any call of gRPC with a message of 64 bytes."""
        htdocs = self.place / "grpc"
        (htdocs / "orders.Orders").mkdir(parents=True)
        (htdocs / "orders.Orders/Get").write_bytes(b"\0" + (64).to_bytes(4, "big") + b"x" * 64)
        kinds = self.file("kinds", "application/grpc Get\n")
        ports = [free_port() for _ in range(count)]
        for port in ports:
            command = ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", htdocs, "--trailer=grpc-status: 0"]
            command += [f"--mime-types-file={kinds}", port]
            self.start(command, 0, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for(port)
        return ports
