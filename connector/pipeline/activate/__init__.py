"""The second act: from segment members to delivered campaigns."""
