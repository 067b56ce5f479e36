"""The first act: from sources to scores and segment members."""
