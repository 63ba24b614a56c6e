"""grpcio, unmodified, finds services by `xds:///name`. REGISTRY_URL and REGISTRY_TOKEN say where the registry is, and as whom to
register; GRPC_XDS_BOOTSTRAP_CONFIG is what `lombard xds bootstrap` printed."""

import json
import os
import unittest
import urllib.request
from concurrent import futures

import grpc

CALL = "/echo.Echo/Say"
PATIENCE_S = 60


def registry(method, service, instance, rest="", body=None):
    url = f"{os.environ['REGISTRY_URL']}/v1/registry/services/{service}/instances/{instance}{rest}"
    headers = {"authorization": f"Bearer {os.environ['REGISTRY_TOKEN']}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        return json.load(answer)


class Server:
    """Answers every call with its name, and is registered under it."""

    def __init__(self, service, name):
        self.service, self.name = service, name
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        say = grpc.unary_unary_rpc_method_handler(lambda request, context: name.encode())
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", {"Say": say})])
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        registry("PUT", service, name, body={"url": f"http://127.0.0.1:{port}", "ttl_seconds": 600})

    def stop(self):
        self.server.stop(0).wait()


def say(channel):
    call = channel.unary_unary(CALL, request_serializer=None, response_deserializer=None)
    return call(b"", wait_for_ready=True, timeout=PATIENCE_S).decode()


class Xds(unittest.TestCase):
    def until_said(self, channel, expected):
        """Every server is called in turn, so as many calls in a row as that are answered by all of them."""
        for _ in range(10_000):
            if {say(channel) for _ in range(4)} == expected:
                return
        self.fail(f"never {expected}")

    def test_calls_go_to_those_that_take_traffic(self):
        servers = [Server("echo", "one"), Server("echo", "two")]
        with grpc.insecure_channel("xds:///echo") as channel:
            self.until_said(channel, {"one", "two"})
            registry("POST", "echo", "one", "/drain", {})
            self.until_said(channel, {"two"})
            third = Server("echo", "three")
            self.until_said(channel, {"two", "three"})
        for server in [*servers, third]:
            server.stop()

    def test_a_service_that_comes_later_is_waited_for(self):
        with grpc.insecure_channel("xds:///late") as channel, futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(say, channel)
            server = Server("late", "here")
            self.assertEqual(waiting.result(), "here")
            server.stop()


if __name__ == "__main__":
    unittest.main()
