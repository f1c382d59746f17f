"""What may be opened: a stranger's model is read as data, and refused before anything in it runs."""
