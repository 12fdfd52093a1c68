"""What is: frozen values without behaviour that touches the world."""
