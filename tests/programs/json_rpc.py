#!/usr/bin/python3
"""A JSON-RPC server on standard input and output, as MCP's are: answers a request with the name of its method, and a
notification, which has no ID, with nothing."""
import json
import sys

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": message["method"]}), flush=True)
