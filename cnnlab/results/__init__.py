"""What an analysis gives back: Result and its claims, on disk and back, with the images that keep their attack."""
