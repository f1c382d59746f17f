"""Asking a model a question: what is asked, the host that runs a plugin for it, and the gates that judge the answer."""
