"""What several test files share: the tables of cases, and how numbers are compared."""
