"""The page that explains a Decision."""
