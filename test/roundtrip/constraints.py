"""Sends raw signed requests with values below, at and above every constraint of Image Builder's model.

usage: constraints.py SERVER echo|service

With "service" the server is the real one: what the model allows may then be
refused for other reasons, but never with a failure of the server's own.

The clients check little themselves, so the requests are made by hand. What is
right comes from the model as botocore has it and from Python's own regular
expressions, not from anything that the server was generated with.
"""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import sys
import urllib.parse

import botocore.session

from sample import full_match, sample

SERVICE, REGION = "imagebuilder", "us-east-1"
# A shape is tried with all its values at so many places, then with two.
THOROUGH = 2


class Server:
    """One kept-alive connection and just enough of Signature Version 4."""

    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.host)
        self.key, self.secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

    def send(self, method, path, query, body):
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{date[:8]}/{REGION}/{SERVICE}/aws4_request"
        quote = lambda s: urllib.parse.quote(s, safe="-_.~")
        query = "&".join(sorted(f"{quote(k)}={quote(v)}" for k, v in query))
        canonical = "\n".join([method, urllib.parse.quote(path, safe="/-_.~"), query, f"host:{self.host}", f"x-amz-date:{date}", "",
                               "host;x-amz-date", hashlib.sha256(body).hexdigest()])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        self.connection.request(method, path + ("?" + query if query else ""), body, {
            "X-Amz-Date": date, "Content-Type": "application/json",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}"})
        response = self.connection.getresponse()
        return response.status, response.getheader("X-Amzn-ErrorType"), json.loads(response.read() or b"null")


def valid(shape, depth=0):
    """The smallest value that the model allows."""
    kind, meta = shape.type_name, shape.metadata
    if kind == "structure":
        return {n: valid(shape.members[n], depth + 1) for n in shape.required_members}
    if kind == "list":
        return [valid(shape.member, depth + 1) for _ in range(max(1, meta.get("min", 0)))]
    if kind == "map":
        return {valid(shape.key): valid(shape.value, depth + 1)}
    if kind == "string":
        if shape.enum:
            return shape.enum[0]
        if "pattern" in meta:
            return sample(meta["pattern"], meta.get("min", 0))
        return "a" * meta.get("min", 0)
    if kind == "boolean":
        return False
    if kind == "timestamp":
        return 0
    return meta.get("min", 0)


def right(shape, s):
    """Whether the model allows a string."""
    meta = shape.metadata
    if shape.enum:
        return s in shape.enum
    if not meta.get("min", 0) <= len(s) <= meta.get("max", 1 << 30):
        return False
    return "pattern" not in meta or full_match(meta["pattern"], s)


def strings(shape):
    """Strings around a shape's bounds and patterns."""
    meta, good = shape.metadata, valid(shape)
    if shape.enum:
        return shape.enum + ["", good.lower() + "x", good + "\n"]
    out = [good, "", good + "\n", good + "\x00", "\n" + good, good + "!", good[1:], good[:-1], good.upper(), "aws:" + good, good + "é"]
    for length in {meta[k] + d for k in ("min", "max") if k in meta for d in (-1, 0, 1)} - {-1}:
        out += ["a" * length, "é" * length, "\U0001f600" * length]
        if "pattern" in meta:
            out.append(sample(meta["pattern"], length))
    if "pattern" in meta:
        long = [sample(meta["pattern"], n) for n in (40, 1024, 1025)]
        out += long + [s + s[-1:] for s in long if s]
    return [s for s in dict.fromkeys(out) if s is not None]


def around(shape):
    """(value, allowed) pairs for a shape, beside what lies inside of it."""
    kind, meta = shape.type_name, shape.metadata
    if kind == "string" and (shape.enum or meta.keys() & {"min", "max", "pattern"}):
        yield from ((s, right(shape, s)) for s in strings(shape))
    elif kind in ("integer", "long", "double"):
        for k, step in (("min", -1), ("max", 1)):
            if k in meta:
                yield from ((meta[k], True), (meta[k] + step, False))
    elif kind == "list" and meta.keys() & {"min", "max"}:
        item = valid(shape.member)
        for n in {meta[k] + d for k in ("min", "max") if k in meta for d in (-1, 0, 1)} - {-1}:
            yield [item] * n, meta.get("min", 0) <= n <= meta.get("max", 1 << 30)
    elif kind == "map":
        for n in {meta[k] + d for k in ("min", "max") if k in meta for d in (-1, 0, 1)} - {-1}:
            yield {f"k{i}": valid(shape.value) for i in range(n)}, meta.get("min", 0) <= n <= meta.get("max", 1 << 30)
        yield from (({s: valid(shape.value)}, right(shape.key, s)) for s in strings(shape.key))
        yield from (({"k": s}, right(shape.value, s)) for s in strings(shape.value))


def places(shape, path=(), seen=()):
    """Every member below a structure: (path, shape); path has names and 0 for a list's first item."""
    if shape.type_name == "structure":
        if shape.name in seen:
            return
        for n, m in shape.members.items():
            yield path + (n,), m
            yield from places(m, path + (n,), seen + (shape.name,))
    elif shape.type_name == "list":
        yield path + (0,), shape.member
        yield from places(shape.member, path + (0,), seen)


def put(shape, root, path, v):
    """Sets the value at a path, with valid values on the way."""
    at = root
    for i, step in enumerate(path):
        shape = shape.members[step] if step != 0 else shape.member
        if i == len(path) - 1:
            at[step] = v
        elif step == 0:
            at[:1] = at[:1] or [valid(shape)]
        elif step not in at:
            at[step] = valid(shape)
        at = at[step]


def spelled(path):
    out = ""
    for step in path:
        out += f"[{step}]" if step == 0 else "." * bool(out) + step
    return out


class Checks:
    def __init__(self, server, model, echo):
        self.server, self.model, self.echo, self.count, self.refused = server, model, echo, 0, 0

    def call(self, op, params):
        path, query, body = op.http["requestUri"], [], {}
        for n, v in params.items():
            member = op.input_shape.members[n]
            where, name = member.serialization.get("location"), member.serialization.get("name", n)
            if where == "uri":
                path = path.replace("{" + name + "}", urllib.parse.quote(v, safe=""))
            elif where == "querystring":
                query += [(name, x) for x in (v if isinstance(v, list) else [v])]
            else:
                body[name] = v
        data = json.dumps(body).encode() if op.http["method"] in ("PUT", "POST") else b""
        self.count += 1
        return self.server.send(op.http["method"], path, query, data)

    def expect(self, op, params, allowed, where):
        status, code, answer = self.call(op, params)
        message = (answer or {}).get("message", "")
        if allowed:
            ok = status == 200 if self.echo else status < 500
        else:
            self.refused += 1
            modelled = {e.name for e in op.error_shapes}
            own = "InvalidParameterException" in modelled and "InvalidParameterValueException" not in modelled
            ok = (status, code) == (400, "InvalidParameterException" if own else "InvalidParameterValueException") and self.worded(message, where)
        if not ok:
            raise SystemExit(f"{op.name} {where}: {'allowed' if allowed else 'forbidden'} by the model, but {status} {code} {message}\n{json.dumps(params)[:2000]}")

    @staticmethod
    def worded(message, where):
        """Whether an error says what is wrong in the service's words: a pattern's are known, the rest is made after them."""
        return re.fullmatch(rf"The value supplied for parameter '({re.escape(where)}[^']*)' is not valid\. '\1' (must|is) .+", message, re.S)

    def operation(self, op, tried):
        shape = op.input_shape
        self.expect(op, valid(shape), True, "")
        for path, member in places(shape):
            located = "location" in shape.members[path[0]].serialization
            for v, allowed in self.values(member, tried, located):
                params = valid(shape)
                put(shape, params, path, v)
                self.expect(op, params, allowed, spelled(path))
            if member.type_name == "structure":
                self.required(op, member, path)
        self.required(op, shape, ())

    def values(self, member, tried, located):
        all_values = list(around(member))
        if located:
            # An empty label is another path, an empty list is no parameter.
            all_values = [(v, a) for v, a in all_values if v not in ("", [])]
        tried[member.name] = tried.get(member.name, 0) + 1
        if tried[member.name] <= THOROUGH:
            return all_values
        good = [x for x in all_values if x[1]][:1]
        return good + [x for x in all_values if not x[1]][:1]

    def required(self, op, shape, path):
        for n in shape.required_members:
            if shape.members[n].serialization.get("location") == "uri":
                continue
            params = valid(op.input_shape)
            if path:
                put(op.input_shape, params, path, valid(shape))
            at = params
            for step in path:
                at = at[step]
            del at[n]
            self.expect(op, params, False, spelled(path + (n,)))


def main(url, behind):
    model = botocore.session.get_session().get_service_model(SERVICE)
    checks, tried = Checks(Server(url), model, behind == "echo"), {}
    for name in model.operation_names:
        checks.operation(model.operation_model(name), tried)
    print(f"{checks.count} requests, {checks.refused} of them refused, {len(tried)} shapes")


main(sys.argv[1], sys.argv[2])
