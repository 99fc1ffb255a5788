"""What Pulumi keeps and prints of a stack's models."""
