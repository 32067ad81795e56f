"""The statistics of a study, from its long table of answers."""
