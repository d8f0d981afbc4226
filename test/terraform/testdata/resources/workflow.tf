resource "aws_imagebuilder_workflow" "pause" {
  name               = "tf-pause"
  version            = "1.0.0"
  type               = "TEST"
  description        = "waits"
  change_description = "made by Terraform"
  tags               = var.tags

  data = <<-EOT
    name: pause
    schemaVersion: 1.0
    parameters:
      - name: why
        type: string
    steps:
      - name: Pause
        action: WaitForAction
        onFailure: Abort
  EOT
}

resource "aws_imagebuilder_image_pipeline" "flow" {
  name                             = "tf-flow"
  image_recipe_arn                 = aws_imagebuilder_image_recipe.small.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.small.arn
  execution_role                   = "arn:aws:iam::123456789012:role/golden"

  workflow {
    workflow_arn = "arn:aws:imagebuilder:us-east-1:aws:workflow/build/build-image/x.x.x"
  }

  workflow {
    workflow_arn   = aws_imagebuilder_workflow.pause.arn
    on_failure     = "CONTINUE"
    parallel_group = "group"

    parameter {
      name  = "why"
      value = "to look at it"
    }
  }
}

output "workflow" {
  value = {
    arn   = aws_imagebuilder_workflow.pause.arn
    owner = aws_imagebuilder_workflow.pause.owner
  }
}
