resource "aws_imagebuilder_image_pipeline" "full" {
  name                             = "tf-full"
  description                      = var.description
  image_recipe_arn                 = aws_imagebuilder_image_recipe.full.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.full.arn
  distribution_configuration_arn   = aws_imagebuilder_distribution_configuration.full.arn
  enhanced_image_metadata_enabled  = false
  status                           = "DISABLED"
  tags                             = var.tags

  image_tests_configuration {
    image_tests_enabled = false
    timeout_minutes     = 60
  }

  image_scanning_configuration {
    image_scanning_enabled = true

    ecr_configuration {
      repository_name = "scans"
      container_tags  = ["scan"]
    }
  }

  schedule {
    schedule_expression                = var.schedule
    pipeline_execution_start_condition = "EXPRESSION_MATCH_ONLY"
    timezone                           = "Europe/Berlin"
  }
}

resource "aws_imagebuilder_image_pipeline" "small" {
  name                             = "tf-small"
  image_recipe_arn                 = aws_imagebuilder_image_recipe.small.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.small.arn

  schedule {
    schedule_expression = "rate(7 days)"
  }
}

resource "aws_imagebuilder_image_pipeline" "box" {
  name                             = "tf-box"
  container_recipe_arn             = aws_imagebuilder_container_recipe.box.arn
  infrastructure_configuration_arn = aws_imagebuilder_infrastructure_configuration.small.arn
}

# The data source of provider 5 cannot show a schedule with a time zone.
data "aws_imagebuilder_image_pipeline" "small" {
  arn = aws_imagebuilder_image_pipeline.small.arn
}

data "aws_imagebuilder_image_pipelines" "own" {
  filter {
    name   = "name"
    values = [aws_imagebuilder_image_pipeline.full.name]
  }
}

output "pipeline" {
  value = {
    arn      = aws_imagebuilder_image_pipeline.full.arn
    platform = aws_imagebuilder_image_pipeline.full.platform
    tests    = one(aws_imagebuilder_image_pipeline.small.image_tests_configuration)
    next     = aws_imagebuilder_image_pipeline.full.date_next_run
    status   = data.aws_imagebuilder_image_pipeline.small.status
    listed   = data.aws_imagebuilder_image_pipelines.own.arns
  }
}
