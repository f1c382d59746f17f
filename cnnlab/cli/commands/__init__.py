"""The commands, a module each: thin Click over the library."""
