"""``doyen legal …``: one module a command, imported when it is called."""
