"""The function of the multi-account story, with an HTTP server in Lambda's place.

It confirms its subscription, reads the image of each message, assumes a role in
every account that may launch the AMI, and puts the AMI's id into a parameter
there. Arguments: the topic's ARN. It prints its URL, then a line for each
message that it worked on.
"""
import base64
import http.server
import json
import sys
import urllib.request

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding


def verify(message):
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if message["Type"] == "Notification":
        names = [n for n in names if n not in ("SubscribeURL", "Token")]
    text = "".join(f"{n}\n{message[n]}\n" for n in names if n in message)
    certificate = x509.load_pem_x509_certificate(urllib.request.urlopen(message["SigningCertURL"]).read())
    kind = hashes.SHA256() if message["SignatureVersion"] == "2" else hashes.SHA1()
    certificate.public_key().verify(base64.b64decode(message["Signature"]), text.encode(), padding.PKCS1v15(), kind)


def lambda_handler(image):
    if image["state"]["status"] != "AVAILABLE":
        return
    for distribution in image["distributionConfiguration"]["distributions"]:
        accounts = distribution.get("amiDistributionConfiguration", {}).get("launchPermission", {}).get("userIds", [])
        for account in accounts:
            ami = next(a["image"] for a in image["outputResources"]["amis"] if a["region"] == distribution["region"])
            role = boto3.client("sts", region_name=distribution["region"]).assume_role(
                RoleArn=f"arn:aws:iam::{account}:role/LambdaExecutionRoleForSSMParam", RoleSessionName="image")["Credentials"]
            boto3.client(
                "ssm", region_name=distribution["region"], aws_access_key_id=role["AccessKeyId"], aws_secret_access_key=role["SecretAccessKey"], aws_session_token=role["SessionToken"],
            ).put_parameter(Name="/ec2-imagebuilder/latest/" + image["imageRecipe"]["name"], Value=ami, Type="String", DataType="aws:ec2:image", Overwrite=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verify(message)
        if message["Type"] == "SubscriptionConfirmation":
            urllib.request.urlopen(message["SubscribeURL"]).read()
        else:
            lambda_handler(json.loads(message["Message"]))
        self.send_response(200)
        self.end_headers()
        print(message["Type"], flush=True)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
