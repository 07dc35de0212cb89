"""Watches a served model and triggers retraining."""
