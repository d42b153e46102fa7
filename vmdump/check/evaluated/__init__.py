"""Evaluates what is known at run time only, in an emulated VM of one machine type: tests, needed(), array lengths.

``evaluate.py`` boots the VM and calls QEMU's own save code for a section; ``memory.py`` classifies what a function has
read; ``answers.py`` holds the results, which the checker's lowering uses.
"""
