"""A service of gRPC that the guide's example calls: registered as REGISTRY_URL and REGISTRY_TOKEN say, until it is ended."""

import json
import os
import urllib.request
from concurrent import futures

import grpc

server = grpc.server(futures.ThreadPoolExecutor(2))
say = grpc.unary_unary_rpc_method_handler(lambda request, context: b"hello from the guide")
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("hello.Hello", {"Say": say})])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
url = f"{os.environ['REGISTRY_URL']}/v1/registry/services/hello/instances/grpc"
headers = {"authorization": f"Bearer {os.environ['REGISTRY_TOKEN']}", "content-type": "application/json"}
data = json.dumps({"url": f"grpc://127.0.0.1:{port}", "ttl_seconds": 600}).encode()
urllib.request.urlopen(urllib.request.Request(url, data, headers, method="PUT")).close()
print("registered", flush=True)
server.wait_for_termination()
