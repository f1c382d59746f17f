"""What TensorFlow computes on: a device, several of one machine, or several machines."""
