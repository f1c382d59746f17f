"""Adversarial results: measuring an attack's images, judging what is claimed of them, verifying a saved result."""
