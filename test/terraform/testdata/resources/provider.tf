terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

# What the test changes between two applies.
variable "description" {
  type    = string
  default = "first"
}

variable "tags" {
  type    = map(string)
  default = { stage = "one", gone = "soon" }
}

variable "schedule" {
  type    = string
  default = "cron(0 6 ? * sun *)"
}

provider "aws" {
  region = "us-east-1"

  default_tags {
    tags = { By = "Terraform" }
  }

  endpoints {
    imagebuilder = var.endpoint
    ec2          = var.endpoint
    sts          = var.endpoint
    iam          = var.endpoint
  }
}

data "aws_caller_identity" "current" {}

locals {
  parent = "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"
}
