"""What the champion's predictions are called among the compared columns."""

PREDICTION = "prediction of the champion"
