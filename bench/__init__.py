"""
Speed and memory of skypetrunk, beside other programs that do the same work on the same machine.

C{make bench} prints everything; C{python bench/run.py NAME} one figure.  All traffic stays on loopback.
"""
