"""Sends random inputs through botocore to an echoing server and random outputs back.

usage: roundtrip.py SERVER CONTROL ROUNDS

Every operation that the server has is called ROUNDS times. What the server
decoded must be what was sent, what the client parsed must be what the server
was told to answer: absent, empty, zero and false are all different.
"""
import datetime
import json
import random
import sys
import urllib.request

import botocore.config
import botocore.exceptions
import botocore.session

SERVICES = {
    "imagebuilder": None,
    "ec2": ["DescribeImages", "DescribeRegions", "DescribeSnapshots"],
    "sts": ["GetCallerIdentity"],
}
STRINGS = ["", " ", "0", "null", "true", "a b", " edge ", "é", "日本語", "\U0001f600", '"', "\\", "<&>'", "a\nb\tc\rd",
           "\u2028", "%2F/..;?#&=+", "x" * 300, "{}", "[]", "ÿ\u0100", "1.0.0", "arn:aws:imagebuilder:us-east-1:1:image/a/x.x.x"]
UTC = datetime.timezone.utc


def text(rng):
    if rng.random() < 0.7:
        return rng.choice(STRINGS)
    return "".join(rng.choice(STRINGS) for _ in range(rng.randrange(1, 4)))


def value(rng, shape, depth, located=False):
    """A random value of a shape, in the form that JSON has it (times are epoch seconds)."""
    kind = shape.type_name
    if kind == "structure":
        chance = 0.7 if depth < 3 else 0.35
        return {n: value(rng, m, depth + 1, "location" in m.serialization) for n, m in shape.members.items()
                if m.serialization.get("location") == "uri" or depth < 7 and rng.random() < chance}
    if kind == "list":
        return [value(rng, shape.member, depth + 1) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    if kind == "map":
        return {text(rng): value(rng, shape.value, depth + 1) for _ in range(rng.choice([0, 1, 2, 3]))}
    if kind == "string":
        if shape.enum and rng.random() < 0.8:
            return rng.choice(shape.enum)
        s = text(rng)
        return s + "x" if located else s
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "integer":
        return rng.choice([0, 1, -1, 7, 2**31 - 1, -2**31, rng.randrange(2**31)])
    if kind == "long":
        return rng.choice([0, 1, -1, 2**63 - 1, -2**63, rng.randrange(2**53)])
    if kind in ("double", "float"):
        return rng.choice([0.0, 1.5, -2.25, 1e-7, 1e21, rng.random()])
    if kind == "timestamp":
        return rng.choice([0, 1, 1767225600, rng.randrange(2**32)])
    raise SystemExit("no values for " + kind)


def to_python(shape, v):
    """The same value as botocore wants and gives it."""
    if shape.type_name == "structure":
        return {n: to_python(shape.members[n], x) for n, x in v.items()}
    if shape.type_name == "list":
        return [to_python(shape.member, x) for x in v]
    if shape.type_name == "map":
        return {k: to_python(shape.value, x) for k, x in v.items()}
    if shape.type_name == "timestamp":
        return datetime.datetime.fromtimestamp(v, UTC)
    return v


def sent(protocol, shape, v, top=True):
    """What of an input reaches the server: forms and query strings cannot say everything."""
    if shape.type_name == "structure":
        out = {}
        for n, x in v.items():
            member = shape.members[n]
            x = sent(protocol, member, x, False)
            nothing = x == [] and (protocol == "ec2" or member.serialization.get("location") == "querystring")
            nothing = nothing or protocol in ("ec2", "query") and x == {}
            if not nothing:
                out[n] = x
        return out
    if shape.type_name == "list":
        items = [sent(protocol, shape.member, x, False) for x in v]
        # An empty structure in a form's list has no parameter at all.
        return [x for x in items if x != {}] if protocol in ("ec2", "query") else items
    if shape.type_name == "map":
        return {k: sent(protocol, shape.value, x, False) for k, x in v.items()}
    return v


def control(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data)) as r:
        return r.read()


def difference(name, seed, what, want, got):
    if want != got:
        raise SystemExit(f"{name} (seed {seed}): {what} differ\n want {want!r}\n got  {got!r}")



def one(client, model, protocol, ctl, name, seed):
    rng = random.Random(f"{name}/{seed}")
    op = model.operation_model(name)
    call = getattr(client, botocore.xform_name(name))
    params = value(rng, op.input_shape, 0) if op.input_shape else {}
    output = value(rng, op.output_shape, 0) if op.output_shape else {}
    control(ctl, {"output": output})
    response = call(**(to_python(op.input_shape, params) if params else {}))
    got = json.loads(control(ctl))
    want = sent(protocol, op.input_shape, params) if op.input_shape else {}
    for n, m in (op.input_shape.members.items() if op.input_shape else []):
        if m.metadata.get("idempotencyToken") and n not in want:
            if not got.pop(n, ""):
                raise SystemExit(f"{name}: the client's own {n} did not arrive")
    difference(name, seed, "inputs", want, got)
    meta = response.pop("ResponseMetadata")
    if op.output_shape and "requestId" in op.output_shape.members:
        difference(name, seed, "request ids", meta["HTTPHeaders"]["x-amzn-requestid"], response.pop("requestId"))
        output.pop("requestId", None)
    difference(name, seed, "request ids", meta["HTTPHeaders"]["x-amzn-requestid"], meta["RequestId"])
    difference(name, seed, "outputs", to_python(op.output_shape, output) if output else {}, response)

    code, message = rng.choice([("ResourceNotFoundException", 404), ("MadeUpException", 400)]), text(rng)
    control(ctl, {"fault": {"Code": code[0], "Message": message}})
    try:
        call(**(to_python(op.input_shape, params) if params else {}))
    except botocore.exceptions.ClientError as e:
        difference(name, seed, "error codes", code[0], e.response["Error"]["Code"])
        difference(name, seed, "messages", message, e.response["Error"].get("Message") or "")
        difference(name, seed, "statuses", code[1], e.response["ResponseMetadata"]["HTTPStatusCode"])
    else:
        raise SystemExit(f"{name}: an error did not reach the client")


def main(server, ctl, rounds):
    session = botocore.session.get_session()
    config = botocore.config.Config(parameter_validation=False, retries={"max_attempts": 0}, inject_host_prefix=False)
    count = 0
    for service, names in SERVICES.items():
        client = session.create_client(service, endpoint_url=server, region_name="us-east-1", config=config)
        model = client.meta.service_model
        for name in names or model.operation_names:
            for seed in range(rounds):
                one(client, model, model.metadata["protocol"], ctl, name, seed)
                count += 1
    print(f"{count} round trips")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
