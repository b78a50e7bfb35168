"""canitrain: can this machine train that object detector?"""
