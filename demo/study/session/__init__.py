"""One participant's way through a study, and what an operator sees of all of them."""
