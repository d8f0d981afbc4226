"""Drives boto3: one call a line on standard input, one answer a line on standard output."""
import json
import sys

import boto3
import botocore
import botocore.config
import botocore.exceptions

client = boto3.client("imagebuilder", config=botocore.config.Config(retries={"total_max_attempts": 1}))
METHODS = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}


def make(call):
    name, arguments = call["operation"], call["input"] or {}
    if name.startswith("wait:"):
        waiter = botocore.xform_name(name.removeprefix("wait:"))
        if waiter not in client.waiter_names:
            return {"lacks": "no waiter " + waiter}
        client.get_waiter(waiter).wait(**arguments, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
        return {"output": {}}
    operation = name.removeprefix("knows:")
    if operation not in METHODS:
        return {"lacks": "no operation " + operation}
    if name != operation:
        return {}
    if call.get("pages"):
        pages = client.get_paginator(METHODS[name]).paginate(**arguments, PaginationConfig=page_size(name))
        return {"output": {call["pages"]: [item for page in pages for item in page.get(call["pages"], [])]}}
    answer = getattr(client, METHODS[name])(**arguments)
    answer.pop("ResponseMetadata")
    return {"output": answer}


def page_size(name):
    members = client.meta.service_model.operation_model(name).input_shape.members
    return {"PageSize": 1} if "maxResults" in members else {}


def answer(call):
    try:
        return make(call)
    except botocore.exceptions.ParamValidationError as e:
        if "Unknown parameter in" in str(e):
            return {"lacks": str(e)}
        return {"error": {"code": "ParamValidation", "class": type(e).__name__, "message": str(e)}}
    except botocore.exceptions.ClientError as e:
        known = type(e) is not botocore.exceptions.ClientError and isinstance(e, getattr(client.exceptions, type(e).__name__))
        return {"error": {"code": e.response["Error"]["Code"], "class": type(e).__name__ if known else "",
                          "message": e.response["Error"].get("Message", "")}}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), default=lambda t: t.isoformat()), flush=True)
