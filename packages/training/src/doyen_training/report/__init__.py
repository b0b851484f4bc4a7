"""``doyen train report``: one HTML page over one run or several, to be opened anywhere without a network."""
