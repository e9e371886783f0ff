"""Weights to verified graphs: the recipe that fills the model repository.

The export reads: fetch the pack's weights (``weights``), fold them to plain float32 (``folding``), build our two graphs
around them (``detector``, ``embedder``), hold the graphs against OpenCV (``verification``), and only then put them in
place (``repository``).

A user's own files take the same way: ``own_weights`` finds them, ``freeing`` sets their batch axis free, ``scrfd`` and
``arcface`` build the graphs, and ``own_verification`` holds these against the files as they came.
"""
