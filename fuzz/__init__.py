"""Input by the thousand: mutated files and command lines, each of which must end in a result or in one sentence.

``mutators`` change bytes, JSON, arrays, archives, protobufs and files; ``seeds`` are the good files that they begin
with, built by code; ``targets`` make an input of each kind; ``judge`` runs one in this process and says what is wrong
with how it ended; ``workers`` keep processes that do so, and outlive them; ``python -m fuzz`` (``make fuzz``) is the
whole.
"""
