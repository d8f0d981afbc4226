resource "aws_imagebuilder_lifecycle_policy" "full" {
  name           = "tf-full"
  description    = var.description
  execution_role = "arn:aws:iam::123456789012:role/lifecycle"
  resource_type  = "AMI_IMAGE"
  status         = "DISABLED"
  tags           = var.tags

  policy_detail {
    action {
      type = "DELETE"

      include_resources {
        amis      = true
        snapshots = true
      }
    }

    exclusion_rules {
      tag_map = { Keep = "yes" }

      amis {
        is_public       = true
        regions         = ["eu-west-1"]
        shared_accounts = ["111122223333"]
        tag_map         = { Hold = "yes" }

        last_launched {
          unit  = "MONTHS"
          value = 3
        }
      }
    }

    filter {
      type            = "AGE"
      unit            = "YEARS"
      value           = 1
      retain_at_least = 5
    }
  }

  policy_detail {
    action {
      type = "DEPRECATE"
    }

    filter {
      type  = "AGE"
      unit  = "MONTHS"
      value = 6
    }
  }

  resource_selection {
    recipe {
      name             = aws_imagebuilder_image_recipe.full.name
      semantic_version = "1.0.0"
    }
  }
}

resource "aws_imagebuilder_lifecycle_policy" "small" {
  name           = "tf-small"
  execution_role = "arn:aws:iam::123456789012:role/lifecycle"
  resource_type  = "AMI_IMAGE"

  policy_detail {
    action {
      type = "DELETE"
    }

    filter {
      type  = "COUNT"
      value = 10
    }
  }

  resource_selection {
    tag_map = { stage = "old" }
  }
}
