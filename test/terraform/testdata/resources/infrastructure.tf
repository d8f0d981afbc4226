resource "aws_imagebuilder_infrastructure_configuration" "full" {
  name                          = "tf-full"
  description                   = var.description
  instance_profile_name         = "golden"
  instance_types                = ["t3.micro", "m5.large"]
  key_pair                      = "key"
  security_group_ids            = ["sg-0123456789abcdef0"]
  subnet_id                     = "subnet-0123456789abcdef0"
  sns_topic_arn                 = "arn:aws:sns:us-east-1:123456789012:topic"
  terminate_instance_on_failure = true
  resource_tags                 = { Role = "build" }
  tags                          = var.tags

  instance_metadata_options {
    http_put_response_hop_limit = 2
    http_tokens                 = "required"
  }

  logging {
    s3_logs {
      s3_bucket_name = "logs"
    }
  }

  placement {
    availability_zone = "us-east-1a"
    tenancy           = "dedicated"
  }
}

resource "aws_imagebuilder_infrastructure_configuration" "small" {
  name                  = "tf-small"
  instance_profile_name = "golden"
}

data "aws_imagebuilder_infrastructure_configuration" "full" {
  arn = aws_imagebuilder_infrastructure_configuration.full.arn
}

data "aws_imagebuilder_infrastructure_configurations" "own" {
  filter {
    name   = "name"
    values = [aws_imagebuilder_infrastructure_configuration.full.name]
  }
}

output "infrastructure" {
  value = {
    prefix  = one(one(data.aws_imagebuilder_infrastructure_configuration.full.logging).s3_logs).s3_key_prefix
    small   = aws_imagebuilder_infrastructure_configuration.small.terminate_instance_on_failure
    updated = aws_imagebuilder_infrastructure_configuration.small.date_updated
    listed  = data.aws_imagebuilder_infrastructure_configurations.own.arns
  }
}
