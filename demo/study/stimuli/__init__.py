"""The pictures of a study: pairs chosen from a gallery, and what stands between two faces in each condition."""
