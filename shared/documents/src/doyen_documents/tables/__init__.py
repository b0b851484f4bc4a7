"""Tables of a page: found, split into cells, each cell with its box. Words in, tables out; PDF and OCR alike."""
