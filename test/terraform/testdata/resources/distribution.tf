resource "aws_imagebuilder_distribution_configuration" "full" {
  name        = "tf-full"
  description = var.description
  tags        = var.tags

  distribution {
    region                     = "us-east-1"
    license_configuration_arns = ["arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-0123456789abcdef0123456789abcdef"]

    ami_distribution_configuration {
      name               = "golden-{{ imagebuilder:buildDate }}"
      description        = "golden"
      target_account_ids = ["111122223333", "444455556666"]
      ami_tags           = { Name = "golden" }

      launch_permission {
        user_ids                 = ["111122223333"]
        user_groups              = ["all"]
        organization_arns        = ["arn:aws:organizations::123456789012:organization/o-abcdefghij"]
        organizational_unit_arns = ["arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-abcd-12345678"]
      }
    }

    fast_launch_configuration {
      account_id            = "123456789012"
      enabled               = false
      max_parallel_launches = 6

      launch_template {
        launch_template_id      = "lt-0123456789abcdef0"
        launch_template_version = "1"
      }

      snapshot_configuration {
        target_resource_count = 1
      }
    }

    launch_template_configuration {
      launch_template_id = "lt-0123456789abcdef0"
      account_id         = "111122223333"
      default            = false
    }

    launch_template_configuration {
      launch_template_id = "lt-0123456789abcdef1"
    }

    s3_export_configuration {
      disk_image_format = "RAW"
      role_name         = "vmimport"
      s3_bucket         = "exports"
      s3_prefix         = "golden"
    }
  }

  distribution {
    region = "eu-west-1"

    container_distribution_configuration {
      container_tags = ["one", "two"]
      description    = "boxes"

      target_repository {
        repository_name = "box"
        service         = "ECR"
      }
    }
  }
}

resource "aws_imagebuilder_distribution_configuration" "small" {
  name = "tf-small"

  distribution {
    region = "us-east-1"

    ami_distribution_configuration {
      name = "small-{{ imagebuilder:buildDate }}"
    }
  }
}

data "aws_imagebuilder_distribution_configuration" "full" {
  arn = aws_imagebuilder_distribution_configuration.full.arn
}

data "aws_imagebuilder_distribution_configurations" "own" {
  filter {
    name   = "name"
    values = [aws_imagebuilder_distribution_configuration.full.name]
  }
}

output "distribution" {
  value = {
    regions = length(data.aws_imagebuilder_distribution_configuration.full.distribution)
    listed  = data.aws_imagebuilder_distribution_configurations.own.arns
  }
}
