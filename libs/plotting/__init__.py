"""All drawing and rendering: pictures by matplotlib, tables for terminal and documents.

Takes finished numbers and imports only `libs.utils`.
"""
