"""Adversarial results: measuring an attack's images, and judging what is claimed of them."""
