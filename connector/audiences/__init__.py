"""Who is wanted where, with which properties: from segment members to desired states."""
