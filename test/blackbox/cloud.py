"""Calls the cloud's faces with boto3 and says what does not hold.

Arguments: the URL of the server.
"""
import json
import sys

import boto3
from botocore.exceptions import ClientError

url = sys.argv[1]
failed = []


def client(service, region="us-east-1"):
    return boto3.client(service, endpoint_url=url, region_name=region)


def check(what, got, want):
    if got != want:
        failed.append(f"{what}: {got!r}, want {want!r}")


def refused(what, code, call, **arguments):
    try:
        call(**arguments)
        failed.append(f"{what}: was not refused")
    except ClientError as e:
        check(what, e.response["Error"]["Code"], code)


ssm = client("ssm")
check("put", ssm.put_parameter(Name="/app/a", Value="1", Type="String", Tags=[{"Key": "k", "Value": "v"}])["Version"], 1)
check("overwrite", ssm.put_parameter(Name="/app/a", Value="2", Overwrite=True)["Version"], 2)
ssm.put_parameter(Name="/app/b/c", Value="x,y", Type="StringList")
ssm.put_parameter(Name="/app/secret", Value="hidden", Type="SecureString")
check("get", ssm.get_parameter(Name="/app/a:1")["Parameter"]["Value"], "1")
check("decrypted", ssm.get_parameter(Name="/app/secret", WithDecryption=True)["Parameter"]["Value"], "hidden")
check("sealed", ssm.get_parameter(Name="/app/secret")["Parameter"]["Value"] != "hidden", True)
check("several", ssm.get_parameters(Names=["/app/a", "/none"])["InvalidParameters"], ["/none"])
pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/app", Recursive=True, PaginationConfig={"PageSize": 1})
check("by path", [p["Name"] for page in pages for p in page["Parameters"]], ["/app/a", "/app/b/c", "/app/secret"])
check("history", [p["Value"] for p in ssm.get_parameter_history(Name="/app/a")["Parameters"]], ["1", "2"])
check("describe", [p["Name"] for p in ssm.describe_parameters(ParameterFilters=[{"Key": "Type", "Values": ["StringList"]}])["Parameters"]], ["/app/b/c"])
ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="/app/a", Tags=[{"Key": "l", "Value": "w"}])
ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId="/app/a", TagKeys=["k"])
check("tags", ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/app/a")["TagList"], [{"Key": "l", "Value": "w"}])
check("another region", client("ssm", "eu-west-1").describe_parameters()["Parameters"], [])
refused("again", "ParameterAlreadyExists", ssm.put_parameter, Name="/app/a", Value="3", Type="String")
refused("missing", "ParameterNotFound", ssm.get_parameter, Name="/none")
refused("no image", "ValidationException", ssm.put_parameter, Name="/ami", Value="ami-0123456789abcdef0", Type="String", DataType="aws:ec2:image")
check("delete", ssm.delete_parameters(Names=["/app/a", "/none"])["DeletedParameters"], ["/app/a"])
ssm.delete_parameter(Name="/app/secret")

sns = client("sns")
topic = sns.create_topic(Name="t", Attributes={"DisplayName": "T"}, Tags=[{"Key": "k", "Value": "v"}])["TopicArn"]
check("created again", sns.create_topic(Name="t")["TopicArn"], topic)
check("topics", [t["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for t in page["Topics"]], [topic])
sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
check("attributes", sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SignatureVersion"], "2")
subscription = sns.subscribe(TopicArn=topic, Protocol="https", Endpoint="https://127.0.0.1:1/", ReturnSubscriptionArn=True, Attributes={"FilterPolicy": '{"a": ["b"]}'})["SubscriptionArn"]
sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true")
check("subscription", sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["RawMessageDelivery"], "true")
check("subscriptions", [s["SubscriptionArn"] for s in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]], ["PendingConfirmation"])
check("all subscriptions", len(sns.list_subscriptions()["Subscriptions"]), 1)
check("publish", len(sns.publish(TopicArn=topic, Message="m", Subject="s", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})["MessageId"]), 36)
check("batch", len(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "m"}])["Successful"]), 1)
sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "l", "Value": "w"}])
sns.untag_resource(ResourceArn=topic, TagKeys=["k"])
check("topic tags", sns.list_tags_for_resource(ResourceArn=topic)["Tags"], [{"Key": "l", "Value": "w"}])
refused("token", "InvalidParameter", sns.confirm_subscription, TopicArn=topic, Token="0" * 64)
refused("queue", "InvalidParameter", sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:q")
refused("no topic", "NotFound", sns.publish, TopicArn=topic + "x", Message="m")
sns.add_permission(TopicArn=topic, Label="partners", AWSAccountId=["222222222222"], ActionName=["Publish", "Subscribe"])
check("statements", [s["Sid"] for s in json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]], ["__default_statement_ID", "partners"])
refused("label", "InvalidParameter", sns.add_permission, TopicArn=topic, Label="partners", AWSAccountId=["222222222222"], ActionName=["Publish"])
refused("action", "InvalidParameter", sns.add_permission, TopicArn=topic, Label="more", AWSAccountId=["222222222222"], ActionName=["Receive"])
refused("policy", "InvalidParameter", sns.set_topic_attributes, TopicArn=topic, AttributeName="Policy", AttributeValue='{"Statement": []}')
sns.remove_permission(TopicArn=topic, Label="partners")
refused("no label", "NotFound", sns.remove_permission, TopicArn=topic, Label="partners")
refused("redrive", "InvalidParameter", sns.set_subscription_attributes, SubscriptionArn=subscription, AttributeName="RedrivePolicy", AttributeValue="{}")
sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RedrivePolicy", AttributeValue='{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead"}')
sns.unsubscribe(SubscriptionArn=subscription)
sns.delete_topic(TopicArn=topic)
check("no topics", sns.list_topics()["Topics"], [])

ec2 = client("ec2")
template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={
    "InstanceType": "m5.large", "SecurityGroupIds": ["sg-1"], "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}],
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]})["LaunchTemplate"]["LaunchTemplateId"]
version = ec2.create_launch_template_version(LaunchTemplateId=template, SourceVersion="$Latest", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0"})["LaunchTemplateVersion"]
check("version", (version["VersionNumber"], version["LaunchTemplateData"]["InstanceType"], version["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]), (2, "m5.large", 8))
check("default", ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"], 2)
check("versions", [v["DefaultVersion"] for v in ec2.describe_launch_template_versions(LaunchTemplateName="web")["LaunchTemplateVersions"]], [False, True])
check("deleted", len(ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2"])["SuccessfullyDeletedLaunchTemplateVersions"]), 1)
ec2.create_tags(Resources=[template], Tags=[{"Key": "k", "Value": "v"}])
check("described tags", [(t["ResourceType"], t["Key"]) for t in ec2.describe_tags()["Tags"]], [("launch-template", "k")])
ec2.delete_tags(Resources=[template], Tags=[{"Key": "k"}])
check("templates", [t.get("Tags", []) for t in ec2.describe_launch_templates()["LaunchTemplates"]], [[]])
ec2.delete_launch_template(LaunchTemplateId=template)
ami = "ami-0123456789abcdef0"
refused("no template", "InvalidLaunchTemplateId.NotFoundException", ec2.describe_launch_template_versions, LaunchTemplateId=template)
refused("copy", "InvalidAMIID.NotFound", ec2.copy_image, Name="copy", SourceImageId=ami, SourceRegion="eu-west-1")
refused("deregister", "InvalidAMIID.NotFound", ec2.deregister_image, ImageId=ami)
refused("attribute", "InvalidAMIID.NotFound", ec2.describe_image_attribute, ImageId=ami, Attribute="launchPermission")
refused("permission", "InvalidAMIID.NotFound", ec2.modify_image_attribute, ImageId=ami, LaunchPermission={"Add": [{"UserId": "111122223333"}]})
refused("reset", "InvalidAMIID.NotFound", ec2.reset_image_attribute, ImageId=ami, Attribute="launchPermission")
refused("snapshot", "InvalidSnapshot.NotFound", ec2.delete_snapshot, SnapshotId="snap-0123456789abcdef0")
refused("deprecation", "InvalidAMIID.NotFound", ec2.enable_image_deprecation, ImageId=ami, DeprecateAt="2030-01-01T00:00:00Z")
refused("no deprecation", "InvalidAMIID.NotFound", ec2.disable_image_deprecation, ImageId=ami)

print("\n".join(failed))
sys.exit(1 if failed else 0)
