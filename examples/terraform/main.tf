# The golden-web pipeline for the AWS provider, unchanged but for the endpoints:
# point them at a Goldsmith server, or leave them out for AWS itself.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.58"
    }
  }
}

variable "endpoint" {
  type    = string
  default = "http://127.0.0.1:7420"
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  endpoints {
    imagebuilder = var.endpoint
    ec2          = var.endpoint
    sts          = var.endpoint
  }
}

# Components and recipes are replaced, never changed: raise the version with the
# change, and the old one goes when nothing uses it any more.
resource "aws_imagebuilder_component" "web" {
  name     = "golden-web"
  platform = "Linux"
  version  = "1.0.0"
  data     = file("${path.module}/../golden-web/web.yaml")

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_imagebuilder_component" "web_test" {
  name     = "golden-web-test"
  platform = "Linux"
  version  = "1.0.0"
  data     = file("${path.module}/../golden-web/web-test.yaml")

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_imagebuilder_image_recipe" "web" {
  name         = "golden-web"
  version      = "1.0.0"
  parent_image = "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"

  component {
    component_arn = aws_imagebuilder_component.web.arn

    parameter {
      name  = "Greeting"
      value = "Hello from a golden image made with Terraform"
    }
  }

  component {
    component_arn = aws_imagebuilder_component.web_test.arn
  }

  block_device_mapping {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = 3
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_imagebuilder_infrastructure_configuration" "web" {
  name                          = "golden-web"
  instance_profile_name         = "golden"
  terminate_instance_on_failure = true
}

resource "aws_imagebuilder_distribution_configuration" "web" {
  name = "golden-web"

  dynamic "distribution" {
    for_each = ["us-east-1", "ap-northeast-1"]

    content {
      region = distribution.value

      ami_distribution_configuration {
        name     = "golden-web {{ imagebuilder:buildDate }}"
        ami_tags = { Role = "web" }

        launch_permission {
          user_ids = ["111122223333"]
        }
      }
    }
  }
}

resource "aws_imagebuilder_image_pipeline" "web" {
  name                             = "golden-web"
  image_recipe_arn                 = aws_imagebuilder_image_recipe.web.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.web.arn
  distribution_configuration_arn   = aws_imagebuilder_distribution_configuration.web.arn

  schedule {
    schedule_expression = "cron(0 6 ? * sun *)"
    timezone            = "Europe/Berlin"
  }
}

output "pipeline" {
  value = aws_imagebuilder_image_pipeline.web.arn
}
