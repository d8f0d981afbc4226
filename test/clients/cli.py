"""Drives the AWS CLI that this interpreter has, inside of one process.

One call a line on standard input, one answer a line on standard output. Every
call is a command line as a person would type it, run by the CLI's own main
function; only starting the program and reading its models each time are left
out.
"""
import contextlib
import io
import json
import os
import re
import sys

import awscli
import awscli.clidriver as clidriver

try:
    from awscli.botocore import xform_name
except ImportError:  # CLIs whose botocore is a package of its own
    from botocore import xform_name

FAILED = re.compile(r"An error occurred \((\w+)\) when calling the (\w+) operation(?: \(.*?\))?: (.*)", re.S)


driver = clidriver.create_clidriver()
session = driver.session
if hasattr(clidriver, "AWSCLIEntryPoint"):  # version 2
    driver = clidriver.AWSCLIEntryPoint(driver)
model = session.get_service_model("imagebuilder")
try:
    paged = set(session.get_component("data_loader").load_service_model("imagebuilder", "paginators-1")["pagination"])
except Exception:  # this CLI has none for the service
    paged = set()


def aws(arguments):
    """Runs one command line and gives its exit status and output."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True), io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = driver.main(arguments)
        except SystemExit as e:
            status = e.code
    return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


def flags(arguments):
    """Members as the flags of a command line."""
    for name, value in arguments.items():
        flag = xform_name(name, "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield f"--{flag}"
            yield value if isinstance(value, str) else json.dumps(value)


def make(call):
    name, arguments = call["operation"], dict(call["input"] or {})
    if name.startswith("knows:"):
        known = name[len("knows:"):] in model.operation_names
        return {} if known else {"lacks": "no command for it"}
    command = ["imagebuilder", "--output", "json"]
    if os.environ.get("GOLDSMITH_ENDPOINT"):
        command += ["--endpoint-url", os.environ["GOLDSMITH_ENDPOINT"]]
    if name.startswith("wait:"):
        command += ["wait", xform_name(name[len("wait:"):], "-")]
    elif name not in model.operation_names:
        return {"lacks": "no command " + xform_name(name, "-")}
    else:
        command.append(xform_name(name, "-"))
    if not call.get("pages"):
        return answer(aws(command + list(flags(arguments))))
    if name in paged:
        size = ["--page-size", "1"] if "maxResults" in model.operation_model(name).input_shape.members else []
        return answer(aws(command + size + list(flags(arguments))))
    # A CLI without paginators leaves it to its user.
    items = []
    while True:
        got = answer(aws(command + list(flags(dict(arguments, maxResults=1)))))
        if "output" not in got:
            return got
        items += got["output"].get(call["pages"], [])
        if "nextToken" not in got["output"]:
            return {"output": {call["pages"]: items}}
        arguments["nextToken"] = got["output"]["nextToken"]


def answer(result):
    status, out, err = result
    if status == 0:
        return {"output": json.loads(out) if out.strip() else {}}
    failed = FAILED.search(err)
    if failed:
        return {"error": {"code": failed[1], "message": failed[3].strip()}}
    lacking = re.search(r".*(?:Unknown options|Invalid choice|Unknown parameter in|argument (?:operation|subcommand)).*", err)
    if lacking:
        return {"lacks": lacking[0]}
    return {"error": {"code": "ParamValidation", "message": err.strip()[-500:]}}


for line in sys.stdin:
    print(json.dumps(make(json.loads(line))), flush=True)
