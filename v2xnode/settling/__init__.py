"""What entries mean: the `money` that they move, the `trades` that they tell, the `accounts` between peers."""
