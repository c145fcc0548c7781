"""What Hydra finds by itself: plugins have to lie in this namespace."""
