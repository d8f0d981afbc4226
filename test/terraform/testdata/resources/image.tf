# A real build: only where the machine can.
variable "build" {
  type    = bool
  default = false
}

resource "aws_imagebuilder_image" "small" {
  count                            = var.build ? 1 : 0
  image_recipe_arn                 = aws_imagebuilder_image_recipe.small.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.small.arn
  distribution_configuration_arn   = aws_imagebuilder_distribution_configuration.small.arn
  tags                             = var.tags

  image_tests_configuration {
    image_tests_enabled = false
    timeout_minutes     = 60
  }
}

data "aws_imagebuilder_image" "small" {
  count = var.build ? 1 : 0
  arn   = aws_imagebuilder_image.small[0].arn
}

data "aws_imagebuilder_image" "parent" {
  arn = local.parent
}

data "aws_ami" "small" {
  count       = var.build ? 1 : 0
  owners      = ["self"]
  name_regex  = "^small-"
  most_recent = true
  depends_on  = [aws_imagebuilder_image.small]
}

output "image" {
  value = {
    parent = data.aws_imagebuilder_image.parent.name
    built  = [for i in aws_imagebuilder_image.small : { version = i.version, platform = i.platform, amis = [for a in one(i.output_resources).amis : a.image] }]
    ami    = data.aws_ami.small[*].id
  }
}
