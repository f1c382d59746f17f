"""Maps of what a model looks at, put to the test: whoever makes a map can have it tested."""
