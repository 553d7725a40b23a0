"""
The part of F<setup.cfg> that cannot be said there: the compiled helper, which is optional.
"""

from setuptools import setup

# One wheel serves each Python from 3.11 on.
setup(cffi_modules=["native/build.py:builder"], options={"bdist_wheel": {"py_limited_api": "cp311"}})
