"""cnnlab beside its peers: the same weights, the same images, the same work, by turns."""
