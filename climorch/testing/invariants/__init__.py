"""What must hold of every campaign, whatever happens: named functions, own books."""
