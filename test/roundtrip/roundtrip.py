"""Sends random inputs through botocore to an echoing server and random outputs back.

usage: roundtrip.py SERVER CONTROL ROUNDS OPERATIONS

Every operation that the server has (OPERATIONS is a JSON object of services and
their operations) is called once with every member, then ROUNDS times with some.
What the server decoded must be what was sent, what the client parsed must be
what the server was told to answer: absent, empty, zero and false are all
different. Every error of the models must reach the client with its class.
"""
import base64
import datetime
import json
import random
import sys
import urllib.request

import botocore.config
import botocore.exceptions
import botocore.session

STRINGS = ["", " ", "0", "null", "true", "a b", " edge ", "é", "日本語", "\U0001f600", '"', "\\", "<&>'", "a\nb\tc\rd",
           "\u2028", "%2F/..;?#&=+", "x" * 300, "{}", "[]", "ÿ\u0100", "1.0.0", "arn:aws:imagebuilder:us-east-1:1:image/a/x.x.x"]
UTC = datetime.timezone.utc


def text(rng):
    if rng.random() < 0.7:
        return rng.choice(STRINGS)
    return "".join(rng.choice(STRINGS) for _ in range(rng.randrange(1, 4)))


def full(rng, shape, inside=()):
    """A value of a shape with every member, at every depth."""
    kind = shape.type_name
    if kind == "structure":
        return {n: full(rng, m, inside + (shape.name,)) for n, m in shape.members.items() if m.name not in inside}
    if kind == "list":
        return [full(rng, shape.member, inside)]
    if kind == "map":
        return {"key": full(rng, shape.value, inside)}
    if kind == "string" and not shape.enum:
        return rng.choice([s for s in STRINGS if s.strip()]) + "."
    return value(rng, shape, 0)


def value(rng, shape, depth, located=False):
    """A random value of a shape, in the form that JSON has it (times are epoch seconds, blobs are base64)."""
    kind = shape.type_name
    if kind == "structure":
        chance = 0.7 if depth < 3 else 0.35
        return {n: value(rng, m, depth + 1, "location" in m.serialization) for n, m in shape.members.items()
                if m.serialization.get("location") == "uri" or depth < 7 and rng.random() < chance}
    if kind == "list":
        return [value(rng, shape.member, depth + 1) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    if kind == "map":
        made = {text(rng): value(rng, shape.value, depth + 1) for _ in range(rng.choice([0, 1, 2, 3]))}
        # A form cannot say an entry without a value.
        return {k: v for k, v in made.items() if v != {}}
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
    if kind == "blob":
        return base64.b64encode(rng.randbytes(rng.choice([1, 2, 3, 100]))).decode()
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
    if shape.type_name == "blob":
        return base64.b64decode(v)
    return v


def sent(protocol, shape, v, top=True):
    """What of an input reaches the server: forms and query strings cannot say everything."""
    if shape.type_name == "structure":
        out = {}
        for n, x in v.items():
            member, whole = shape.members[n], x
            x = sent(protocol, member, x, False)
            nothing = protocol == "query" and x == [] != whole
            nothing = nothing or x == [] and (protocol == "ec2" or member.serialization.get("location") == "querystring")
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


FULL = "every member"


def difference(name, seed, what, want, got):
    if want != got:
        raise SystemExit(f"{name} (seed {seed}): {what} differ\n want {want!r}\n got  {got!r}")



def one(client, model, protocol, ctl, name, seed):
    rng = random.Random(f"{name}/{seed}")
    op = model.operation_model(name)
    call = getattr(client, botocore.xform_name(name))
    make = full if seed == FULL else lambda rng, shape: value(rng, shape, 0)
    params = make(rng, op.input_shape) if op.input_shape else {}
    output = make(rng, op.output_shape) if op.output_shape else {}
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

    modelled = {e.error_code: e.metadata.get("error", {}).get("httpStatusCode", 400) for e in model.error_shapes}
    missing = ("ResourceNotFoundException", modelled.get("ResourceNotFoundException", 404))
    code, message = rng.choice([missing, ("MadeUpException", 400)]), text(rng)
    control(ctl, {"fault": {"Code": code[0], "Message": message}})
    try:
        call(**(to_python(op.input_shape, params) if params else {}))
    except botocore.exceptions.ClientError as e:
        difference(name, seed, "error codes", code[0], e.response["Error"]["Code"])
        difference(name, seed, "messages", message, e.response["Error"].get("Message") or "")
        difference(name, seed, "statuses", code[1], e.response["ResponseMetadata"]["HTTPStatusCode"])
    else:
        raise SystemExit(f"{name}: an error did not reach the client")


def errors(client, model, ctl, name):
    """Every error that the model declares, as a program sees it."""
    op, count = model.operation_model(name), 0
    params = to_python(op.input_shape, full(random.Random(name), op.input_shape)) if op.input_shape else {}
    for shape in model.error_shapes:
        status = shape.metadata.get("error", {}).get("httpStatusCode")
        control(ctl, {"fault": {"Code": shape.error_code, "Message": "because"}})
        try:
            getattr(client, botocore.xform_name(name))(**params)
        except getattr(client.exceptions, shape.name) as e:
            difference(name, shape.name, "error codes", shape.error_code, e.response["Error"]["Code"])
            difference(name, shape.name, "statuses", status or 400, e.response["ResponseMetadata"]["HTTPStatusCode"])
            count += 1
        else:
            raise SystemExit(f"{name}: {shape.name} did not reach the client")
    return count


def main(server, ctl, rounds, operations):
    session = botocore.session.get_session()
    config = botocore.config.Config(parameter_validation=False, retries={"max_attempts": 0}, inject_host_prefix=False)
    count = classes = 0
    for service, names in operations.items():
        client = session.create_client(service, endpoint_url=server, region_name="us-east-1", config=config)
        model = client.meta.service_model
        if service == "imagebuilder" and set(names) != set(model.operation_names):
            raise SystemExit(f"the server and the model differ in {set(names) ^ set(model.operation_names)}")
        for name in names:
            for seed in [FULL, *range(rounds)]:
                one(client, model, model.metadata["protocol"], ctl, name, seed)
                count += 1
        classes += errors(client, model, ctl, names[0])
    print(f"{count} round trips, {classes} classes of errors")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
