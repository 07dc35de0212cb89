"""What people put on record: wrong labels, and incidents that must stay right."""
