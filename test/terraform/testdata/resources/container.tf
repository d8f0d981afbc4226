resource "aws_imagebuilder_container_recipe" "box" {
  name              = "tf-box"
  version           = "1.0.0"
  container_type    = "DOCKER"
  description       = "a box"
  parent_image      = "debian:12"
  platform_override = "Linux"
  working_directory = "/tmp"
  tags              = var.tags

  component {
    component_arn = aws_imagebuilder_component.inline.arn

    parameter {
      name  = "Greeting"
      value = "good day"
    }
  }

  dockerfile_template_data = "FROM {{{ imagebuilder:parentImage }}}\n{{{ imagebuilder:environments }}}\n{{{ imagebuilder:components }}}\n"

  instance_configuration {
    image = "ami-0123456789abcdef0"

    block_device_mapping {
      device_name = "/dev/xvdb"

      ebs {
        volume_size = 20
        volume_type = "gp3"
      }
    }
  }

  target_repository {
    repository_name = "box"
    service         = "ECR"
  }
}

data "aws_imagebuilder_container_recipe" "box" {
  arn = aws_imagebuilder_container_recipe.box.arn
}

data "aws_imagebuilder_container_recipes" "own" {
  owner      = "Self"
  depends_on = [aws_imagebuilder_container_recipe.box]
}

output "container" {
  value = {
    encrypted  = aws_imagebuilder_container_recipe.box.encrypted
    dockerfile = data.aws_imagebuilder_container_recipe.box.dockerfile_template_data == aws_imagebuilder_container_recipe.box.dockerfile_template_data
    listed     = data.aws_imagebuilder_container_recipes.own.arns
  }
}
