"""What can be told of an opened model: its layers in numbers, its origin, its gradients, how well it does."""
