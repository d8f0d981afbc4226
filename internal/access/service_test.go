package access

import "testing"

func TestLetsService(t *testing.T) {
	t.Parallel()
	const ec2, assume = "ec2.amazonaws.com", "sts:AssumeRole"
	for name, tc := range map[string]struct {
		policy string
		want   bool
	}{
		"the service":      {`{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, true},
		"one of two":       {`{"Statement": {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}, "Action": "sts:*"}}`, true},
		"another service":  {`{"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, false},
		"of its name":      {`{"Statement": {"Effect": "Allow", "Principal": {"Federated": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, false},
		"an account":       {`{"Statement": {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}}`, false},
		"another action":   {`{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:TagSession"}}`, false},
		"denied":           {`{"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}, {"Effect": "Deny", "Principal": "*", "Action": "*"}]}`, false},
		"denied to others": {`{"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}, {"Effect": "Deny", "NotPrincipal": {"Service": "ec2.amazonaws.com"}, "Action": "*"}]}`, true},
		"on a condition":   {`{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}}}}`, false},
	} {
		p, err := Parse(Trust, tc.policy)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := p.LetsService(ec2, assume, Values{}.Lookup); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
