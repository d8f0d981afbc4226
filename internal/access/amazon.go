package access

import (
	"fmt"
	"maps"
	"slices"
)

// Administrator allows everything.
var Administrator = amazonPolicies["arn:aws:iam::aws:policy/AdministratorAccess"]

// amazonPolicies are the managed policies of Amazon that concern what this
// server does. They say what Amazon's say as far as it goes here.
var amazonPolicies = map[string]*Policy{
	"arn:aws:iam::aws:policy/AdministratorAccess": amazonPolicy(`"*"`),
	"arn:aws:iam::aws:policy/ReadOnlyAccess":      amazonPolicy(`["imagebuilder:Get*", "imagebuilder:List*", "ec2:Describe*", "ec2:Get*", "ssm:Get*", "ssm:Describe*", "sns:Get*", "sns:List*", "sts:GetCallerIdentity"]`),
	"arn:aws:iam::aws:policy/AWSImageBuilderFullAccess": amazonPolicy(`["imagebuilder:*", "ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeRegions",
		"ec2:DescribeInstanceTypeOfferings", "ec2:DescribeLaunchTemplates", "sns:ListTopics", "iam:GetRole", "iam:GetInstanceProfile", "iam:ListRoles", "iam:ListInstanceProfiles", "s3:ListAllMyBuckets"]`),
	"arn:aws:iam::aws:policy/AWSImageBuilderReadOnlyAccess": amazonPolicy(`["imagebuilder:Get*", "imagebuilder:List*", "iam:GetRole"]`),
}

// AmazonPolicy finds a managed policy of Amazon.
func AmazonPolicy(arn string) (*Policy, bool) {
	p, ok := amazonPolicies[arn]
	return p, ok
}

// AmazonPolicies gives the ARNs of those that there are.
func AmazonPolicies() []string { return slices.Sorted(maps.Keys(amazonPolicies)) }

func amazonPolicy(actions string) *Policy {
	p, err := Parse(IdentityBased, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": %s, "Resource": "*"}}`, actions))
	if err != nil {
		panic("access: a policy of Amazon is not valid: " + err.Error())
	}
	return p
}
