package gate

// ec2 are the rules of Amazon EC2. What only describes has no resource.
var ec2 = map[string]rule{
	"DescribeImages":    anything,
	"DescribeRegions":   anything,
	"DescribeSnapshots": anything,
}

// sts are the rules of the Security Token Service. Everybody may know who they
// are, even if a policy denies it, and a role's own trust policy says who may
// assume it.
var sts = map[string]rule{
	"AssumeRole":        free,
	"GetCallerIdentity": free,
}
