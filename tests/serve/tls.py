"""Asks an encrypted server, with the right authority and without it: tls.py HOST:PORT CERTIFICATE.pem"""

import http.client
import json
import socket
import ssl
import sys

import tritonclient.http as triton

address, certificate = sys.argv[1:3]
host, port = address.split(":")
trusting = ssl.create_default_context(cafile=certificate)
connection = http.client.HTTPSConnection("localhost", int(port), context=trusting, timeout=10)
connection.request("GET", "/v2/health/live")
answer = connection.getresponse()
assert answer.status == 200 and json.load(answer) == {"live": True}
try:
    stranger = http.client.HTTPSConnection("localhost", int(port), context=ssl.create_default_context(), timeout=10)
    stranger.request("GET", "/v2/health/live")
except ssl.SSLCertVerificationError:
    pass
else:
    raise AssertionError("a certificate of nobody's was taken")
old = ssl.create_default_context(cafile=certificate)
old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
old.maximum_version = ssl.TLSVersion.TLSv1_1
try:
    connection = http.client.HTTPSConnection("localhost", int(port), context=old, timeout=10)
    connection.request("GET", "/v2/health/live")
except (ssl.SSLError, OSError):
    pass
else:
    raise AssertionError("an old protocol was taken")
plain = socket.create_connection((host, int(port)), timeout=10)
plain.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: t\r\n\r\n")
heard = plain.recv(100)
assert not heard.startswith(b"HTTP"), heard
context = lambda: ssl.create_default_context(cafile=certificate)
client = triton.InferenceServerClient(f"localhost:{port}", ssl=True, ssl_context_factory=context)
assert client.is_model_ready("hinet")
print("encrypted as it should be")
