"""The proxy as an application of its own, for a real server in front of it."""

import os

from gateway.intake.proxy import Proxy, ProxyLimits
from gateway.relay import Guard, Upstream

proxy = Proxy(Guard(["127.0.0.0/8"]), limits=ProxyLimits(bytes=3 << 20))
upstream = Upstream.of("c", os.environ["POS_URL"])


def app(environ, start_response):
    return proxy(environ, start_response, upstream)
