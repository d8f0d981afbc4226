resource "aws_imagebuilder_component" "inline" {
  name                  = "Tf Inline_1"
  platform              = "Linux"
  version               = "1.0.0"
  description           = "says hello"
  change_description    = "made by Terraform"
  supported_os_versions = ["Debian 12", "Debian 13"]
  tags                  = var.tags

  data = yamlencode({
    schemaVersion = 1.0
    parameters    = [{ Greeting = { type = "string", default = "hello", description = "what it says" } }]
    phases = [{
      name  = "build"
      steps = [{ name = "Hello", action = "ExecuteBash", inputs = { commands = ["echo {{ Greeting }}"] } }]
    }]
  })
}

resource "aws_imagebuilder_component" "plain" {
  name     = "tf-plain"
  platform = "Linux"
  version  = "1.0.0"
  data     = "schemaVersion: 1.0\nphases:\n  - name: test\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo hello\n"
}

data "aws_imagebuilder_component" "inline" {
  arn = aws_imagebuilder_component.inline.arn
}

data "aws_imagebuilder_component" "amazon" {
  arn = "arn:aws:imagebuilder:us-east-1:aws:component/update-linux/x.x.x"
}

data "aws_imagebuilder_components" "own" {
  owner = "Self"

  filter {
    name   = "name"
    values = [aws_imagebuilder_component.inline.name]
  }
}

output "component" {
  value = {
    arn        = aws_imagebuilder_component.inline.arn
    owner      = aws_imagebuilder_component.inline.owner
    encrypted  = aws_imagebuilder_component.inline.encrypted
    type       = aws_imagebuilder_component.plain.type
    tags       = data.aws_imagebuilder_component.inline.tags
    data       = data.aws_imagebuilder_component.inline.data == aws_imagebuilder_component.inline.data
    amazon     = data.aws_imagebuilder_component.amazon.arn
    same_owner = aws_imagebuilder_component.inline.owner == data.aws_caller_identity.current.account_id
    listed     = data.aws_imagebuilder_components.own.arns
  }
}
