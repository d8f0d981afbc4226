resource "aws_imagebuilder_image_recipe" "full" {
  name              = "tf-full"
  version           = "1.0.0"
  description       = "every member"
  parent_image      = local.parent
  working_directory = "/var/tmp"
  user_data_base64  = base64encode("#!/bin/sh\necho up\n")
  tags              = var.tags

  component {
    component_arn = aws_imagebuilder_component.inline.arn

    parameter {
      name  = "Greeting"
      value = "good day"
    }
  }

  component {
    component_arn = aws_imagebuilder_component.plain.arn
  }

  block_device_mapping {
    device_name = "/dev/xvda"

    ebs {
      delete_on_termination = false
      encrypted             = false
      volume_size           = 9
      volume_type           = "gp3"
      iops                  = 3000
      throughput            = 250
    }
  }

  block_device_mapping {
    device_name = "/dev/xvdb"
    no_device   = true
  }

  block_device_mapping {
    device_name  = "/dev/xvdc"
    virtual_name = "ephemeral0"
  }

  systems_manager_agent {
    uninstall_after_build = false
  }
}

resource "aws_imagebuilder_image_recipe" "small" {
  name         = "tf-small"
  version      = "1.0.0"
  parent_image = local.parent

  component {
    component_arn = aws_imagebuilder_component.plain.arn
  }
}

# The data source of provider 5 cannot show a device with no_device.
data "aws_imagebuilder_image_recipe" "small" {
  arn = aws_imagebuilder_image_recipe.small.arn
}

data "aws_imagebuilder_image_recipes" "own" {
  owner = "Self"

  filter {
    name   = "name"
    values = [aws_imagebuilder_image_recipe.full.name]
  }
}

data "aws_imagebuilder_image_recipes" "amazon" {
  owner = "Amazon"
}

output "recipe" {
  value = {
    platform   = aws_imagebuilder_image_recipe.full.platform
    components = [for c in data.aws_imagebuilder_image_recipe.small.component : c.component_arn]
    devices    = length(aws_imagebuilder_image_recipe.full.block_device_mapping)
    listed     = data.aws_imagebuilder_image_recipes.own.arns
    amazon     = length(data.aws_imagebuilder_image_recipes.amazon.arns)
  }
}
