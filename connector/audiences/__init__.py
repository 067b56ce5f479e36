"""Who is wanted on which list, with which properties: from segment members to desired states at
each destination.
"""
