"""How bytes become columns: files, blocks of rows, caches, images.

Knows no data set; imports `libs.utils`.
"""
