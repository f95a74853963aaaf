"""The only place that draws or renders: pictures by matplotlib, tables for terminal and page.

It takes finished numbers and imports `libs.utils` alone.
"""
