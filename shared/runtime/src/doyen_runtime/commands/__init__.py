"""The commands that ``doyen`` has without any vertical; each module is imported when its command runs."""
