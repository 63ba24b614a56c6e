"""grpcio, with code that its own tools make of the interface's file, watches a service. REGISTRY_URL and REGISTRY_TOKEN say where the
registry is, and as whom to register; REGISTRY_GRPC is where it listens for gRPC, and PROTO the folder with the file."""

import json
import os
import sys
import unittest
import urllib.request

import grpc

PATIENCE_S = 60

# Where the compiler looks for what it is given by name.
sys.path.append(os.environ["PROTO"])
messages, services = grpc.protos_and_services("registry/v1/registry.proto")


def registry(method, service, instance, rest="", body=None):
    url = f"{os.environ['REGISTRY_URL']}/v1/registry/services/{service}/instances/{instance}{rest}"
    headers = {"authorization": f"Bearer {os.environ['REGISTRY_TOKEN']}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        return json.load(answer)


def register(service, instance, **more):
    return registry("PUT", service, instance, body={"url": "http://127.0.0.1:9000", "ttl_seconds": 600, **more})["index"]


class Watch(unittest.TestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(os.environ["REGISTRY_GRPC"])
        self.stub = services.RegistryStub(self.channel)

    def tearDown(self):
        self.channel.close()

    def watch(self, service, **more):
        metadata = [("authorization", f"Bearer {os.environ['REGISTRY_TOKEN']}")]
        return self.stub.Watch(messages.WatchRequest(service=service, **more), metadata=metadata, timeout=PATIENCE_S)

    def test_each_change_is_sent_to_who_watches(self):
        watching = self.watch("watched")
        self.assertEqual(len(next(watching).instances), 0)
        index = register("watched", "one", tags=["blue"], metadata={"k": "v"}, weight=3)
        first = next(watching)
        self.assertEqual((first.service, first.index), ("watched", index))
        (instance,) = first.instances
        self.assertEqual((instance.instance, instance.url, instance.weight), ("one", "http://127.0.0.1:9000", 3))
        self.assertEqual((list(instance.tags), dict(instance.metadata)), (["blue"], {"k": "v"}))
        self.assertEqual(instance.state, messages.STATE_PASSING)
        self.assertFalse(instance.HasField("zone"))
        registry("POST", "watched", "one", "/drain", {"note": "leaves"})
        (instance,) = next(watching).instances
        self.assertEqual((instance.state, instance.note), (messages.STATE_DRAINING, "leaves"))
        watching.cancel()

    def test_who_comes_back_goes_on_where_it_was(self):
        seen = register("resumed", "one")
        watching = self.watch("resumed", seen=seen)
        index = register("resumed", "two")
        self.assertEqual(next(watching).index, index)
        watching.cancel()

    def test_a_refusal_says_why(self):
        with self.assertRaises(grpc.RpcError) as refused:
            next(self.watch("No Name"))
        self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("service", refused.exception.details())


if __name__ == "__main__":
    unittest.main()
