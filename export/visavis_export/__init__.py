"""Weights to verified graphs: the recipe that fills the model repository."""
