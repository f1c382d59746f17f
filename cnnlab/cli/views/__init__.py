"""What commands show: Rich tables, pictures and live progress."""
