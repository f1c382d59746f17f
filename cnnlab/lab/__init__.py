"""The lab: a page on this machine in which every installed analysis runs, and the HTTP interface that it uses.

What listens and what is answered stand apart: ``app`` says what each address answers, ``guard`` who is let in, and the
other modules hold what is open: models, datasets, images, jobs and results. Nothing here knows an analysis by name.
"""
