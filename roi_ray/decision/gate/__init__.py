"""Is the candidate build of a codec worse than its baseline?"""
