package clients

// story is everything that is told to every client.
func story() []chapter {
	var all []chapter
	for _, part := range [][]chapter{components(), recipes(), configurations(), pipelines(), images(), workflows(), lifecycle(), imports(), lists()} {
		all = append(all, part...)
	}
	return all
}

const (
	own    = "arn:aws:imagebuilder:us-east-1:123456789012:" // what the story makes
	amazon = "arn:aws:imagebuilder:us-east-1:aws:"
	parent = amazon + "image/debian-12-x86/x.x.x"

	document = "name: hello\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo hello\n"
	// changed is document with other content.
	changed = document + "            - echo again\n"
)

const notFound = "ResourceNotFoundException"

// gone are the calls on a resource that is not there: they all say so.
func gone(member, arn string, operations ...string) []call {
	var calls []call
	for _, op := range operations {
		calls = append(calls, call{op: op, in: object{member: arn}, err: notFound, says: arn})
	}
	return calls
}

// with is in and more members.
func with(in object, more object) object {
	out := object{}
	for k, v := range in {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// tagging is the life of a resource's tags.
func tagging(arn string) []call {
	return []call{
		{op: "TagResource", in: object{"resourceArn": arn, "tags": object{"stage": "blue/green =1", "empty": ""}}},
		{op: "ListTagsForResource", in: object{"resourceArn": arn}, want: object{"tags.stage": "blue/green =1", "tags.empty": ""}},
		{op: "UntagResource", in: object{"resourceArn": arn, "tagKeys": list{"stage", "empty", "never"}}},
		{op: "ListTagsForResource", in: object{"resourceArn": arn}, want: object{"tags.stage": absent, "tags.empty": absent}},
		{op: "TagResource", in: object{"resourceArn": arn, "tags": object{"aws:mine": "x"}}, err: "InvalidParameterException", says: "aws:mine"},
	}
}
