"""What check_data finds in a prepared folder, and check_config in a recipe's configs."""
