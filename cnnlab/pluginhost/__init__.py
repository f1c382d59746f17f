"""The plugin machinery: what plugins declare, the hooks, and the loader that no plugin can break.

This is the lowest layer above the errors, so that datasets, architectures and analyses can all be looked up by name.
Plugin authors import from :mod:`cnnlab.analysis`.
"""
