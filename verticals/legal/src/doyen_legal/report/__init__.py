"""Reports in the formats that people and programs read; see ``write``."""

from doyen_legal.report.write import FORMATS, Written, folder_name, write, write_grid

__all__ = ["FORMATS", "Written", "folder_name", "write", "write_grid"]
