"""One process that scores: it decodes, prepares each reference once, and scores in turns."""
