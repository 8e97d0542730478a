"""What check_data looks at in a prepared folder."""
