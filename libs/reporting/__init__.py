"""Runs over seeds: tables, tests of significance, pictures, one page.

Reads result files; imports experiments, plotting and utils.
"""
